export {
  createForwarder,
  type DropCount,
  type Forwarder,
  type ForwarderOptions,
  type ForwarderSnapshot,
  type ForwarderStatus,
  type InputCounts,
  type InterfaceLoss,
  type OutputCounts,
  type OutputProgram,
  type RateLimitProgram,
  type RelayChange,
  type RelayCounts,
  type RelayProgram,
  type RelayRefusal,
} from './forwarder.ts';
export {
  type ArgumentProblem,
  FORWARDER_ARGUMENTS,
  FORWARDER_USAGE,
  type ForwarderArguments,
  formatForwarderOptions,
  forwarderHelp,
  readForwarderArguments,
  writeForwarderArguments,
} from './forwarder-arguments.ts';
export { type InterfaceFacts, type InterfaceWatch, listInterfaces, watchInterfaces } from './interfaces.ts';
export {
  DEFAULT_MULTICAST_TABLES,
  type IpFamily,
  type KernelRoute,
  type MulticastRoute,
  type MulticastRouteKey,
  type MulticastTable,
  openMulticastTable,
  type RouteChange,
  type RouteFailure,
  type RouteOutput,
  type TableContent,
} from './multicast-table.ts';
export {
  type ProbeFlow,
  type ProbeJob,
  type ProbeReceiveOptions,
  type ProbeReceiveProgress,
  type ProbeReceiveReport,
  type ProbeReceiver,
  type ProbeSender,
  type ProbeSendOptions,
  type ProbeSendProgress,
  type ProbeSendReport,
  probeLimits,
  receiveProbe,
  sendProbe,
} from './probe.ts';
export { DEFAULT_RING_MS, RING_PACKETS_PER_MS, RING_SLOT_BYTES, ringBytesFor } from './ring-size.ts';
export { TRANSMIT_REQUESTS, type TransmitCode, type TransmitRequest } from './transmit.ts';
