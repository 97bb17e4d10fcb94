/** What `mcfleet controller --help` prints. */
export const HELP = `Usage: mcfleet controller [options]

Stores the relays of the fleet, pushes them to the agents of the hosts, and serves the admin API.

Options:
  --config FILE             YAML file with these options as keys, without the dashes; the command line wins
  --data-dir DIR            where the store is (default: /var/lib/mcfleet/controller as root,
                            else $XDG_STATE_HOME/mcfleet/controller)
  --admin-listen ADDRESS    where the admin API listens (default: 127.0.0.1:7400)
  --agent-listen ADDRESS    where agents connect (default: 127.0.0.1:7401)
  --store sqlite            the kind of store (default: sqlite)
  --insecure                listen beyond this machine without TLS; for trusted networks only
  --heartbeat-interval T    how often agents report, for example 5s (default: 15s); a host is lost after three times that
  --restored                the store was restored from a copy: hosts take what it says, though they know later revisions
  --log-level LEVEL         trace, debug, info, warn, error, fatal or silent (default: info)
  --version                 print the version
  -h, --help                print this

DIR belongs to one cluster. If the store in it is lost the controller does not start: restore DIR/store.db, with no old
store.db-wal beside it, and start with --restored, or move all of DIR aside to begin another cluster. Hosts of the earlier one take nothing from it until their
agents are started with --adopt-cluster.

An ADDRESS is HOST:PORT, [IPV6]:PORT or unix:PATH. Port 0 takes a free port; DIR/controller.json tells which.

Examples:
  mcfleet controller
  mcfleet controller --data-dir ./state --admin-listen 127.0.0.1:0
  mcfleet controller --config /etc/mcfleet/controller.yaml
  mcfleet controller --agent-listen 10.0.0.1:7401 --insecure
`;
