/** Sampled profiles as V8 writes them (.cpuprofile), of all threads, as one tree and as times by function. */

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  /** µs from one sample to the next; the first one from the start. */
  readonly timeDeltas: readonly number[]
  readonly startTime: number
  readonly endTime: number
}

export interface ProfileNode {
  readonly id: number
  callFrame: CallFrame
  readonly children?: readonly number[]
}

export interface CallFrame {
  readonly functionName: string
  readonly url: string
  /** From 0. */
  readonly lineNumber: number
  readonly columnNumber: number
}

export type Kind = 'ours' | 'package' | 'node' | 'gc' | 'native'

export interface Frame {
  readonly name: string
  readonly kind: Kind
  /** `src/http/head.js:21`, from 1; empty for what has no file. */
  readonly place: string
}

/** A call path with its time, own and below. */
export interface FlameNode {
  readonly frame: Frame
  readonly children: Map<string, FlameNode>
  selfUs: number
  totalUs: number
}

export interface SelfTime {
  readonly frame: Frame
  readonly us: number
  /** Of all time that was not idle. */
  readonly share: number
}

export function newNode(frame: Frame): FlameNode {
  return { frame, children: new Map(), selfUs: 0, totalUs: 0 }
}

/** Adds a thread's profile below `root`, as a child called `thread`. Idle time is left out. @param base prefix of our files' URLs */
export function addProfile(root: FlameNode, thread: string, profile: CpuProfile, base: string): void {
  const top = childOf(root, { name: thread, kind: 'native', place: '' })
  const parents = new Map<number, number>()
  const byId = new Map<number, ProfileNode>()
  for (const node of profile.nodes) {
    byId.set(node.id, node)
    for (const child of node.children ?? []) parents.set(child, node.id)
  }
  const places = new Map<number, FlameNode[]>()
  for (const [i, us] of sampleTimes(profile).entries()) {
    const id = profile.samples[i]!
    if (byId.get(id)?.callFrame.functionName === '(idle)') continue
    let path = places.get(id)
    if (path === undefined) {
      path = pathTo(top, id, byId, parents, base)
      places.set(id, path)
    }
    path.at(-1)!.selfUs += us
    for (const node of path) node.totalUs += us
    top.totalUs += us
    root.totalUs += us
  }
}

/** A sample stands for the time until the next one. */
function sampleTimes({ samples, timeDeltas, startTime, endTime }: CpuProfile): number[] {
  let at = startTime
  const starts = timeDeltas.map((delta) => {
    at += delta
    return at
  })
  return samples.map((_, i) => Math.max(0, (starts[i + 1] ?? Math.max(endTime, starts[i]!)) - starts[i]!))
}

function pathTo(
  top: FlameNode,
  id: number,
  byId: ReadonlyMap<number, ProfileNode>,
  parents: ReadonlyMap<number, number>,
  base: string,
): FlameNode[] {
  const ids: number[] = []
  for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) ids.push(at)
  // The root of the profile is the thread itself.
  let node = top
  const path = ids
    .reverse()
    .slice(1)
    .map((one) => {
      node = childOf(node, frameOf(byId.get(one)!.callFrame, base))
      return node
    })
  return path.length > 0 ? path : [childOf(top, frameOf(byId.get(id)!.callFrame, base))]
}

function childOf(parent: FlameNode, frame: Frame): FlameNode {
  const key = `${frame.name} ${frame.place}`
  let child = parent.children.get(key)
  if (child === undefined) {
    child = newNode(frame)
    parent.children.set(key, child)
  }
  return child
}

export function frameOf({ functionName, url, lineNumber }: CallFrame, base: string): Frame {
  if (functionName === '(garbage collector)') return { name: 'garbage collector', kind: 'gc', place: '' }
  const name = functionName === '' ? '(anonymous)' : functionName
  if (url === '') return { name, kind: 'native', place: '' }
  const at = (path: string) => (lineNumber < 0 ? path : `${path}:${lineNumber + 1}`)
  if (url.startsWith('node:')) return { name, kind: 'node', place: at(url) }
  const packageAt = url.lastIndexOf('/node_modules/')
  if (packageAt >= 0) return { name, kind: 'package', place: at(url.slice(packageAt + '/node_modules/'.length)) }
  return { name, kind: 'ours', place: at(url.startsWith(base) ? url.slice(base.length) : url) }
}

/** Own time by function, most first, over all paths and threads. */
export function selfTimes(root: FlameNode): SelfTime[] {
  const sums = new Map<string, { frame: Frame; us: number }>()
  const visit = (node: FlameNode): void => {
    if (node.selfUs > 0) {
      const key = `${node.frame.name} ${node.frame.place}`
      const sum = sums.get(key)
      if (sum === undefined) sums.set(key, { frame: node.frame, us: node.selfUs })
      else sum.us += node.selfUs
    }
    for (const child of node.children.values()) visit(child)
  }
  visit(root)
  return [...sums.values()]
    .map(({ frame, us }) => ({ frame, us, share: root.totalUs > 0 ? us / root.totalUs : 0 }))
    .sort((a, b) => b.us - a.us)
}
