// Counts how often the tab's query is to be read again.
let invalidations = 0;
export const invalidationCount = () => invalidations;

export const api = {
  // A new object each time, as a hook may give: an effect must not depend on it.
  useUtils: () => ({ tab: { getByAccessToken: { invalidate: async () => void (invalidations += 1) } } }),
};
