/** What `ip -details -json link` says of one interface, as far as we read it. */
interface LinkJson {
  readonly ifname: string;
  readonly operstate: string;
  readonly linkinfo?: { readonly info_slave_kind?: string; readonly info_slave_data?: { readonly state?: string } };
}

/**
 * Finds the interfaces that do not carry packets yet. Setting a cable's ends up is not enough: the kernel looks at carriers about
 * once a second (net/core/link_watch.c), and a switch forwards on a port only after that.
 *
 * @param json output of `ip -details -json link`.
 */
export function interfacesNotReady(json: string, names: readonly string[]): string[] {
  const links = new Map((JSON.parse(json) as LinkJson[]).map((link) => [link.ifname, link]));
  return names.filter((name) => {
    const link = links.get(name);
    if (link?.operstate !== 'UP') return true;
    const port = link.linkinfo?.info_slave_kind === 'bridge' ? link.linkinfo.info_slave_data : undefined;
    return port !== undefined && port.state !== 'forwarding';
  });
}
