/** Shared memory of a shard, emptied instead of made anew for every input: 2 MiB each time would be most of the work. */

import { NO_ENTRY, PROGRESS_REGISTER_BYTES, ProgressRegister } from '../../src/flow/progress-register.ts'
import { TUNNEL_REGISTER_BYTES, TunnelRegister } from '../../src/http/tunnel-register.ts'
import { hold } from './target.ts'

const WORDS_PER_ENTRY = 8
/** Word of an entry that is 0 when its flow gave way. */
const USER = 5
const words = new Int32Array(new SharedArrayBuffer(PROGRESS_REGISTER_BYTES))
const tunnels = new Float64Array(new SharedArrayBuffer(TUNNEL_REGISTER_BYTES))
/** Entries used since the register was emptied. */
const taken = new Set<number>()

class WatchedRegister extends ProgressRegister {
  override take(hash: number, ports: number, nowSeconds: number): number {
    const entry = super.take(hash, ports, nowSeconds)
    if (entry !== NO_ENTRY) taken.add(entry)
    return entry
  }

  /** Every connection is closed: an entry that is still in use would be in use for ever. */
  mustBeEmpty(): void {
    const isFree = (entry: number) => words[entry] === 0 || words[entry + USER] === 0
    for (const entry of taken) hold(isFree(entry), `entry ${entry} of the progress register was not given back`)
  }
}

/** The register handed out before is of no more use. */
export function emptyProgressRegister(): WatchedRegister {
  for (const entry of taken) words.fill(0, entry, entry + WORDS_PER_ENTRY)
  taken.clear()
  words[0] = 0
  return new WatchedRegister(words.buffer)
}

export function emptyTunnelRegister(): TunnelRegister {
  tunnels.fill(0)
  return new TunnelRegister(tunnels.buffer)
}
