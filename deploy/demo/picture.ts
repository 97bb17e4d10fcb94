/** The lab and the way of a packet through it. Addresses are those of the topology `twoHosts` and of relays.yaml. */
export const picture = `
  camera                 host-a                 host-b                    viewers
  10.99.99.99 ────────── eth0 │ eth1 ────────── eth0 │ eth1 ───┬───────── viewer-1  239.20.20.20:7001
        239.1.1.1:5001   relay "camera"         relay "studio" └───────── viewer-2  10.3.0.12:7002
                               239.10.10.10:6001
`;

/** How to look inside a demo that was left running. */
export function lookInside(controllerPid: number, server: string, directory: string, userNamespace: boolean): string[] {
  const inside = userNamespace ? '' : 'ip netns exec mcfleet-demo.controller ';
  const other = (namespace: string): string => `ip netns exec mcfleet-demo.${namespace} `;
  return [
    ...(userNamespace
      ? [
          "  # first enter the user namespace that it runs in, and the controller's network:",
          `  nsenter --target ${controllerPid} --user --mount --net --preserve-credentials`,
          `  cd ${process.cwd()}`,
        ]
      : []),
    `  ${inside}npx mcfleet --server ${server} get relays`,
    `  ${inside}npx mcfleet --server ${server} get instances -w`,
    `  ${inside}npx mcfleet --server ${server} describe relay camera`,
    `  ${other('viewer-1')}npx mcfleet probe recv --interface eth0 --group 239.20.20.20 --port 7001 --duration 5`,
    `  ${other('host-a')}ip address`,
    `  tail -f ${directory}/*.log`,
    '  npm run demo -- --clean        # ends it',
  ];
}
