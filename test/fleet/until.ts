/** Long: what is waited for comes at once, but for machines that are busy with other work. */
const patienceMs = 60_000;

/**
 * Waits until something is so, asking again and again.
 *
 * @returns what was found: the first answer that is neither false nor undefined.
 * @throws Error that names it, if it is not so in time.
 */
export async function until<Found>(
  what: string,
  holds: () => Promise<Found> | Found,
  timeoutMs = patienceMs,
): Promise<Exclude<Found, false | undefined>> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await holds();
    if (found !== false && found !== undefined) return found as Exclude<Found, false | undefined>;
    if (performance.now() > end) throw new Error(`not so within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
