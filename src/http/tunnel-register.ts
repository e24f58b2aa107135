/**
 * Flows on which HTTP is over, or may be over: after CONNECT or an upgrade. Kept in shared memory, so that a shard that is
 * started again does not take what it finds in the middle of a tunnel for requests.
 *
 *  word 0..SLOTS-1   owner: the shard   hash of the flow, 0 for empty; open addressing within PROBES slots
 *
 * Ordering: only the shard's thread reads and writes it, by plain accesses. A thread that is started again begins when the one before has
 * ended, and its start comes after that end (a thread's end and start are ordered by the host: ECMA-262 section 29,
 * host-synchronizes-with). Where the one before stands still in a system call and never acts again, all it wrote lies before that call; an
 * aligned word is never read torn (Tear Free Reads), so the worst to be found is an entry as it was a moment earlier.
 *
 * Best effort in size: when all probed slots are taken the first of them is overwritten. Two flows with one hash share an
 * entry, which can only make a new shard more careful.
 */
const SLOTS = 1 << 14
const PROBES = 8
export const TUNNEL_REGISTER_BYTES = SLOTS * 4

export class TunnelRegister {
  private readonly slots: Int32Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(TUNNEL_REGISTER_BYTES), byteOffset = 0) {
    this.slots = new Int32Array(memory, byteOffset, SLOTS)
  }

  add(hash: number): void {
    const own = hash === 0 ? 1 : hash
    if (this.find(own) >= 0) return
    const free = this.find(0, own)
    this.slots[free >= 0 ? free : own & (SLOTS - 1)] = own
  }

  delete(hash: number): void {
    const i = this.find(hash === 0 ? 1 : hash)
    if (i >= 0) this.slots[i] = 0
  }

  has(hash: number): boolean {
    return this.find(hash === 0 ? 1 : hash) >= 0
  }

  private find(value: number, near = value): number {
    for (let k = 0; k < PROBES; k++) {
      const i = (near + k) & (SLOTS - 1)
      if (this.slots[i] === value) return i
    }
    return -1
  }
}
