import { useEffect, useRef, useState } from 'preact/hooks';

// Asks again and again while the page is looked at; the next question waits for the last one's answer.
export function usePolled<T>(ask: () => Promise<T>, everyMs: number, inputs: unknown[]) {
  const [answer, setAnswer] = useState<T>();
  const [fault, setFault] = useState<Error>();
  const asked = useRef(ask);
  asked.current = ask;
  useEffect(() => {
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = async () => {
      if (!document.hidden) {
        try {
          const found = await asked.current();
          if (over) return;
          setAnswer(found);
          setFault(undefined);
        } catch (error) {
          if (over) return;
          setFault(error as Error);
        }
      }
      timer = setTimeout(again, everyMs);
    };
    void again();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, inputs);
  return { answer, fault };
}
