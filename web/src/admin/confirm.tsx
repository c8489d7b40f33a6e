import { useEffect, useRef, useState } from 'preact/hooks';

interface Props {
  label: string;
  question: string;
  act: () => Promise<unknown>;
}

// A button that asks before it acts.
export function Confirmed({ label, question, act }: Props) {
  const [asking, setAsking] = useState(false);
  const [fault, setFault] = useState('');
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (asking) dialog.current?.showModal();
  }, [asking]);
  const carryOut = async () => {
    setAsking(false);
    try {
      await act();
      setFault('');
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  return (
    <>
      <button type="button" class="danger" data-testid={`act-${label}`} onClick={() => setAsking(true)}>
        {label}
      </button>
      {fault && (
        <span class="problem" role="alert">
          {fault}
        </span>
      )}
      {asking && (
        <dialog ref={dialog} onClose={() => setAsking(false)}>
          <p>{question}</p>
          <div class="answers">
            <button type="button" autofocus onClick={() => dialog.current?.close()}>
              No
            </button>
            <button type="button" class="danger" data-testid="confirm" onClick={carryOut}>
              {label}
            </button>
          </div>
        </dialog>
      )}
    </>
  );
}
