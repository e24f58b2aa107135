/**
 * How far each flow was delivered, in memory that outlives the shard: its successor does not deliver the same bytes again when a
 * mirror sends a segment, or a SYN, once more.
 *
 *   byte   field        owner: the shard
 *      0   GENERATION   u32, shards that have used the register; counted up by each
 *     64   entries      32 bytes per flow, open addressing by hash within PROBES entries
 *
 *  Entry, words of 4 bytes:
 *
 *   word   0   hash of the flow, 0 for an empty entry
 *          1   both ports, the lower one above: tells apart flows with one hash
 *          2   next sequence number of the endpoint with the lower port (with equal ports: the lower address)
 *          3   the same of the other endpoint
 *          4   bits 0 and 1: words 2 and 3 are valid
 *          5   generation of the shard that uses the entry
 *
 * Best effort in size: when all probed entries are in use, the flow has none, and after a crash begins like any in the middle.
 */
const HEADER_WORDS = 16
const WORDS = 8
const PROBES = 8
/** 65,536 flows, 2 MiB a shard, touched as needed. Chosen: more than one core's worth of busy connections. */
export const PROGRESS_ENTRIES = 1 << 16
export const PROGRESS_REGISTER_BYTES = (HEADER_WORDS + PROGRESS_ENTRIES * WORDS) * 4
export const NO_ENTRY = -1

const HASH = 0
const PORTS = 1
const NEXT_SEQ = 2
const VALID = 4
const USER = 5

export class ProgressRegister {
  private readonly words: Int32Array
  private readonly generation: number

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(PROGRESS_REGISTER_BYTES)) {
    this.words = new Int32Array(memory)
    this.generation = (this.words[0]! + 1) | 0
    this.words[0] = this.generation
  }

  /** The entry that a predecessor left for the flow, now in use by this shard; else NO_ENTRY. */
  adopt(hash: number, ports: number): number {
    const at = this.at(hash)
    for (let k = 0; k < PROBES; k++) {
      const entry = at + ((k * WORDS) | 0)
      const isLeft = this.words[entry + USER] !== this.generation
      if (!isLeft || this.words[entry + HASH] !== nonZero(hash) || this.words[entry + PORTS] !== ports) continue
      this.words[entry + USER] = this.generation
      return entry
    }
    return NO_ENTRY
  }

  /** A new entry; NO_ENTRY when none near is free or left over. */
  add(hash: number, ports: number): number {
    const at = this.at(hash)
    for (let k = 0; k < PROBES; k++) {
      const entry = at + ((k * WORDS) | 0)
      if (this.words[entry + HASH] !== 0 && this.words[entry + USER] === this.generation) continue
      this.words[entry + PORTS] = ports
      this.words[entry + VALID] = 0
      this.words[entry + USER] = this.generation
      this.words[entry + HASH] = nonZero(hash)
      return entry
    }
    return NO_ENTRY
  }

  remove(entry: number): void {
    this.words[entry + HASH] = 0
  }

  /** @param endpoint 0: with the lower port, 1: the other */
  hasSeq(entry: number, endpoint: number): boolean {
    return (this.words[entry + VALID]! & (1 << endpoint)) !== 0
  }

  nextSeq(entry: number, endpoint: number): number {
    return this.words[entry + NEXT_SEQ + endpoint]! | 0
  }

  setNextSeq(entry: number, endpoint: number, seq: number): void {
    this.words[entry + NEXT_SEQ + endpoint] = seq
    this.words[entry + VALID]! |= 1 << endpoint
  }

  /** First probed entry, as a word index; the last flow's probes run on into the entries behind, never over the end. */
  private at(hash: number): number {
    return HEADER_WORDS + (hash & (PROGRESS_ENTRIES - PROBES)) * WORDS
  }
}

function nonZero(hash: number): number {
  return hash === 0 ? 1 : hash
}
