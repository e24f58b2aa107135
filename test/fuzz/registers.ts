/** Shared memory of a shard, emptied instead of made anew for every input: 2 MiB each time would be most of the work. */
import { TUNNEL_REGISTER_BYTES, TunnelRegister } from '../../src/http/tunnel-register.ts'
import { PROGRESS_REGISTER_BYTES, ProgressRegister } from '../../src/reassembly/progress-register.ts'

const progress = new Uint8Array(new SharedArrayBuffer(PROGRESS_REGISTER_BYTES))
const tunnels = new Uint8Array(new SharedArrayBuffer(TUNNEL_REGISTER_BYTES))

/** The register handed out before is of no more use. */
export function emptyProgressRegister(): ProgressRegister {
  progress.fill(0)
  return new ProgressRegister(progress.buffer)
}

export function emptyTunnelRegister(): TunnelRegister {
  tunnels.fill(0)
  return new TunnelRegister(tunnels.buffer)
}
