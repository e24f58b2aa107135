/** Why --percent left nothing: it picks by a key, and what has one key is taken or left as a whole. */
import { plural } from '../base/plural.ts'
import type { Summary } from './summary.ts'
import { total } from './totals.ts'

export interface Sampling {
  readonly percent: number
  readonly sampleBy: { readonly by: 'random' | 'connection' | 'client' | 'header'; readonly name?: string }
}

/** Null where something was taken, or nothing was wanted. */
export function samplingNote({ requests, flows }: Summary, { percent, sampleBy }: Sampling): string | null {
  const { sampledOut = 0 } = requests.dropped
  if (sampledOut === 0 || percent === 0 || total(requests.replayed) + (requests.forwarded ?? 0) > 0) return null
  const { by, name = '' } = sampleBy
  if (by === 'random')
    return `--percent ${percent} took none of ${plural(sampledOut, 'request')}: it picks them at random.`
  const units = {
    connection: `whole connections, and took none of ${plural(flows.opened, 'connection')}`,
    client: `whole clients, by their address, and took none of ${plural(flows.opened, 'connection')}`,
    header: `by the value of the header ${name}, and took none of ${plural(sampledOut, 'request')}`,
  }
  return `--percent ${percent} picks ${units[by]}. --sample-by random picks single requests.`
}
