/** What a test's relay has other than the rest. */
export interface DocumentOptions {
  readonly port?: string;
  readonly group?: string;
  /** More lines below the output. */
  readonly extra?: string;
}

/** A relay as a document; its output's address follows from the length of its name, so that no two conflict. */
export function document(name: string, lines: DocumentOptions = {}): string {
  return `apiVersion: mcfleet/v1
kind: Relay
metadata:
  name: ${name}
  labels: {site: studio-2}
spec:
  hosts: {names: [edge-1]}
  input:
    interface: eth0
    group: ${lines.group ?? '239.1.1.1'}
    port: 5001
  outputs:
    - interface: eth1
      address: 239.10.10.${name.length}
      port: ${lines.port ?? '6001'}
${lines.extra ?? ''}`;
}
