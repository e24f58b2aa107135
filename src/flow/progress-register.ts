/**
 * How far each flow was delivered, in memory that outlives the shard, and the flow's row in the table: neither a restarted
 * worker nor a flow that was evicted and came back delivers the same bytes again when a mirror sends a segment, or a SYN, once more.
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
 *          4   bits 0 and 1: words 2 and 3 are valid; bit 2: its flow was evicted where no message boundary was known
 *          5   generation of the shard that uses the entry, 0 when its flow was evicted
 *          6   when its flow was evicted, seconds
 *
 * Ordering: only the shard's thread reads and writes it, by plain accesses; threads of one shard follow each other. http/tunnel-register.ts
 * says why that is enough.
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
const ANY_SEQ = 3
const MID_MESSAGE = 4
const USER = 5
const LEFT_AT = 6
/** As long as a closed connection is remembered by default: repetitions come within seconds. Later the ports may be another connection's. */
const REMEMBERED_S = 10

export class ProgressRegister {
  private readonly words: Int32Array
  private readonly generation: number

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(PROGRESS_REGISTER_BYTES)) {
    this.words = new Int32Array(memory)
    this.generation = (this.words[0]! + 1) | 0
    this.words[0] = this.generation
  }

  /**
   * An entry for the flow, an even number: the one that a previous worker or the flow itself left, with its sequence numbers, or one
   * without any. NO_ENTRY when all near are in use, or were evicted just now.
   */
  take(hash: number, ports: number, nowSeconds: number): number {
    const { words, generation } = this
    const own = nonZero(hash)
    const first = this.at(hash)
    let unused = NO_ENTRY
    let left = NO_ENTRY
    for (let entry = first; entry < first + PROBES * WORDS; entry += WORDS) {
      const found = words[entry + HASH]! | 0
      if (found === 0) unused = entry
      else if (words[entry + USER] !== generation) {
        const wasEvicted = words[entry + USER] === 0
        const isRemembered = wasEvicted && ((nowSeconds - words[entry + LEFT_AT]!) | 0) <= REMEMBERED_S
        if (found === own && words[entry + PORTS] === ports) {
          if (wasEvicted && !isRemembered) words[entry + VALID]! &= MID_MESSAGE
          // A shard died with it in hand, and may have been anywhere in a message.
          else if (!wasEvicted && words[entry + VALID] !== 0) words[entry + VALID]! |= MID_MESSAGE
          words[entry + USER] = generation
          return entry
        }
        // Else a flood of new flows would make one that was read forgotten, and its repetitions be read again.
        if (!isRemembered) left = entry
      }
    }
    // What previous workers left goes last: its flow may still come.
    const entry = unused === NO_ENTRY ? left : unused
    if (entry === NO_ENTRY) return NO_ENTRY
    words[entry + PORTS] = ports
    words[entry + VALID] = 0
    words[entry + USER] = generation
    words[entry + HASH] = own
    return entry
  }

  /** The flow was evicted, or was silent for too long, and may come back: its numbers stay for REMEMBERED_S, and then until the entry is needed. */
  leave(entry: number, atSeconds: number, isMidMessage: boolean): void {
    if (isMidMessage) this.words[entry + VALID]! |= MID_MESSAGE
    this.words[entry + LEFT_AT] = atSeconds
    this.words[entry + USER] = 0
  }

  remove(entry: number): void {
    this.words[entry + HASH] = 0
  }

  hasAnySeq(entry: number): boolean {
    return (this.words[entry + VALID]! & ANY_SEQ) !== 0
  }

  /** Whether the flow was evicted where no message boundary was known. Told once. */
  takeMidMessage(entry: number): boolean {
    const isMidMessage = (this.words[entry + VALID]! & MID_MESSAGE) !== 0
    this.words[entry + VALID]! &= ANY_SEQ
    return isMidMessage
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

  /** First of the probed entries, as a word index: they are groups of PROBES, so that no flow's lie beyond the end. */
  private at(hash: number): number {
    return HEADER_WORDS + (hash & (PROGRESS_ENTRIES - PROBES)) * WORDS
  }
}

function nonZero(hash: number): number {
  return hash === 0 ? 1 : hash
}
