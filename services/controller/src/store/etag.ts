/** A strong entity tag with its quotes (RFC 9110, section 8.8.3): another one for every write of every object. */
export function etagOf(uid: string, revision: bigint): string {
  return `"${uid.slice(-12)}-${revision}"`;
}
