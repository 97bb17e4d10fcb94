/** A directed graph: for each node, the nodes that its edges lead to. */
export type Graph = readonly (readonly number[])[];

/**
 * The sets of nodes that reach each other, of `roots` and what they reach; each node is in one. Tarjan's algorithm without recursion:
 * its time grows with nodes and edges.
 */
export function components(graph: Graph, roots: Iterable<number> = graph.keys()): number[][] {
  const order = new Int32Array(graph.length).fill(-1);
  const low = new Int32Array(graph.length);
  const next = new Int32Array(graph.length);
  const open = new Uint8Array(graph.length);
  const found: number[][] = [];
  const stack: number[] = [];
  let count = 0;
  const enter = (node: number, path: number[]): void => {
    order[node] = count;
    low[node] = count;
    count += 1;
    open[node] = 1;
    stack.push(node);
    path.push(node);
  };
  for (const root of roots) {
    if (order[root] !== -1) continue;
    const path: number[] = [];
    enter(root, path);
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      const at = next[node] ?? 0;
      const target = graph[node]?.[at];
      if (target !== undefined) {
        next[node] = at + 1;
        if (order[target] === -1) enter(target, path);
        else if (open[target] === 1) low[node] = Math.min(low[node] ?? 0, order[target] ?? 0);
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) low[parent] = Math.min(low[parent] ?? 0, low[node] ?? 0);
      if (low[node] !== order[node]) continue;
      const members = stack.splice(stack.lastIndexOf(node));
      for (const member of members) open[member] = 0;
      found.push(members);
    }
  }
  return found;
}

/** The nodes of a shortest way from a node back to itself, without its end, among `members`; empty if there is none. */
export function shortestCycle(graph: Graph, from: number, members: ReadonlySet<number>): number[] {
  const cameFrom = new Map<number, number>();
  const queue = [from];
  for (let i = 0; i < queue.length; i++) {
    const node = queue[i] ?? from;
    for (const target of graph[node] ?? []) {
      if (target === from) {
        const way = [node];
        for (let at = node; at !== from; ) {
          at = cameFrom.get(at) ?? from;
          way.push(at);
        }
        return way.reverse();
      }
      if (!members.has(target) || cameFrom.has(target)) continue;
      cameFrom.set(target, node);
      queue.push(target);
    }
  }
  return [];
}
