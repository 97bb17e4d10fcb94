export {
  createForwarder,
  type DropCount,
  type Forwarder,
  type ForwarderOptions,
  type ForwarderSnapshot,
  type ForwarderStatus,
  type InputCounts,
  type OutputCounts,
  type OutputProgram,
  type RelayCounts,
  type RelayProgram,
  type RelayRefusal,
} from './forwarder.ts';
export { type InterfaceFacts, type InterfaceWatch, listInterfaces, watchInterfaces } from './interfaces.ts';
