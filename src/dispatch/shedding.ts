/*
 * Which connections are left out while a shard cannot follow: a share of the hash space, so that whole connections are lost and the others
 * stay whole. Packets dropped one by one would leave a gap in nearly every connection: at twice what a shard can do hardly a request
 * would be complete.
 *
 * Every connection has a place in 24 bits, a hash of its hash. While a share s of a shard's connections is shed these are the ones placed
 * below s: whoever is shed at a small share is shed at any greater one, in every receiving thread alike, and stays shed while it holds.
 *
 * The share follows the ring's backlog (what was written and not taken up):
 *
 *   share
 *   1 |                      .-----     rises at once: never below the line, which leads from nothing at the mark `above` to everything
 *     |                    .'           where a tenth of the room behind it is left. On an overloaded shard the backlog comes to rest on
 *     |                  .'             the line, where as much is let in as the shard takes; no share has to be found by trial
 *     |________________.'               holds between the line and half the mark
 *     0     L         above      1      falls below L = above / 2, the faster the emptier the ring is
 *            backlog / capacity
 *
 * So a swing takes the backlog through a quarter of the ring and more each way, and few connections change sides (native-notes/
 * 2026-11-24-shedding.md has the figures).
 *
 * Levels in shared memory, because a connection's fragments come through another receiver than the rest of it, and must be judged alike:
 *
 *   byte                        field       written by    meaning
 *   lineBytes * producer + 4 i  LEVEL       producer      i32, share of shard i's connections that this producer's ring asks to shed,
 *                                                         in 2^-24; 0 from the main thread when it has died
 *
 * In force for a shard is the greatest of its levels. A level stands for itself: it is stored and loaded by Atomics, and nothing else is
 * read on the strength of it; one that is seen a batch late is judged by a batch late.
 */
const PLACES = 1 << 24
const LINE_BYTES = 64

/** What is left of the ring above the mark when everything is shed. */
const ROOM_LEFT = 0.1
/** Share given back in a second, just below the lower mark and by an empty ring. Chosen by simulation: see the note above. */
const RETURN_PER_SECOND = 0.02
const RETURN_PER_SECOND_EMPTY = 2
/** Backlogs are looked at no more often: the shard's words come from another core's cache. */
const JUDGE_EVERY_US = 1_000
/** After a pause no more than this is given back at once. */
const LONGEST_STEP_US = 50_000

/** Of `producers` that write to `shards` rings each. */
export function shedLevelBytes(producers: number, shards: number): number {
  return producers * lineBytes(shards)
}

/** Of a producer, on cache lines of its own. */
function lineBytes(shards: number): number {
  return Math.ceil((shards * 4) / LINE_BYTES) * LINE_BYTES
}

/**
 * Place of a connection among all of its shard, 0 to 2^24 - 1. The upper half of the hash chose the shard and its lower bits the row in the
 * flow table; multiplied by an odd number the upper bits of the product depend on all of them.
 */
export function placeOf(hash: number): number {
  return Math.imul(hash ^ (hash >>> 16), 0x9e3779b1) >>> 8
}

/** The share wanted at once for a backlog. @param above the mark, as a share of the ring */
function wantedShare(backlog: number, above: number): number {
  if (backlog <= above) return 0
  return Math.min(1, (backlog - above) / ((1 - above) * (1 - ROOM_LEFT)))
}

/** The levels of all producers. */
export class ShedLevels {
  protected readonly words: Int32Array
  protected readonly shards: number
  protected readonly producers: number
  protected readonly stride: number

  constructor(memory: SharedArrayBuffer, producers: number, shards: number) {
    this.words = new Int32Array(memory)
    this.shards = shards
    this.producers = producers
    this.stride = lineBytes(shards) / 4
  }

  /** In force for a shard, in 2^-24. */
  level(shard: number): number {
    let level = 0
    for (let producer = 0; producer < this.producers; producer++) {
      const own = Atomics.load(this.words, producer * this.stride + shard)
      if (own > level) level = own
    }
    return level
  }

  /** What a producer asked for, when it has died: nobody else gives it back, and the restarted receiver judges its rings anew. */
  forget(producer: number): void {
    for (let shard = 0; shard < this.shards; shard++) Atomics.store(this.words, producer * this.stride + shard, 0)
  }

  /** Share of the connections of the shard that is worst off. */
  greatestShare(): number {
    let level = 0
    for (let shard = 0; shard < this.shards; shard++) level = Math.max(level, this.level(shard))
    return level / PLACES
  }
}

/** One producer's view: it judges its own rings, and sheds by the levels of all. */
export class Shedding extends ShedLevels {
  /** Whether any shard's connections are shed: the one test made for each packet. */
  isActive = false
  private readonly above: number
  private readonly first: number
  /** Own share of each shard, exact: a step may be smaller than a place. */
  private readonly shares: Float64Array
  /** In force. */
  private readonly levels: Int32Array
  private judgedUs = Number.NEGATIVE_INFINITY

  /** @param above mark of the backlog as a share of the ring, below 1 */
  constructor(memory: SharedArrayBuffer, producer: number, producers: number, shards: number, above: number) {
    super(memory, producers, shards)
    this.above = above
    this.first = producer * this.stride
    this.levels = new Int32Array(shards)
    this.shares = new Float64Array(shards)
  }

  /** Whether the packet's connection is left out. Ask only while `isActive`. */
  sheds(hash: number, shard: number): boolean {
    return placeOf(hash) < this.levels[shard]!
  }

  /** Whether it is time for `judge`. @param nowUs of a clock that never goes back */
  isDue(nowUs: number): boolean {
    return nowUs - this.judgedUs >= JUDGE_EVERY_US
  }

  /** @param backlogs of this producer's rings, as shares of their capacity */
  judge(backlogs: Float64Array, nowUs: number): void {
    const seconds = Math.min(nowUs - this.judgedUs, LONGEST_STEP_US) / 1e6
    this.judgedUs = nowUs
    const low = this.above / 2
    let isActive = false
    for (let shard = 0; shard < this.shards; shard++) {
      const backlog = backlogs[shard]!
      const before = this.shares[shard]!
      const wanted = wantedShare(backlog, this.above)
      let share = before
      if (wanted > before) share = wanted
      else if (before > 0 && backlog < low) {
        const perSecond = RETURN_PER_SECOND + (RETURN_PER_SECOND_EMPTY - RETURN_PER_SECOND) * (1 - backlog / low)
        share = Math.max(0, before - seconds * perSecond)
      }
      if (share !== before) {
        this.shares[shard] = share
        Atomics.store(this.words, this.first + shard, Math.ceil(share * PLACES))
      }
      const level = this.level(shard)
      this.levels[shard] = level
      isActive ||= level > 0
    }
    this.isActive = isActive
  }
}
