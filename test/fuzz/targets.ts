import type { Target } from './target.ts'
import { gzip, merged, pcap, pcapng } from './targets/captures.ts'
import { addresses, configFile, configValues } from './targets/configuration.ts'
import { httpConnection, httpRequest, httpResponse } from './targets/http.ts'
import { ring, steering } from './targets/memory.ts'
import { decapsulation, fragments } from './targets/packets.ts'
import { unaltered, wholePath } from './targets/path.ts'
import { reassembly } from './targets/reassembly.ts'
import { receiver } from './targets/receiver.ts'
import { record } from './targets/record.ts'
import { answers, wireRequest } from './targets/replay.ts'

/** In the order of the packet's path. */
export const TARGETS: readonly Target[] = [
  configFile,
  configValues,
  addresses,
  pcap,
  pcapng,
  gzip,
  merged,
  steering,
  decapsulation,
  fragments,
  ring,
  reassembly,
  receiver,
  record,
  httpRequest,
  httpResponse,
  httpConnection,
  wireRequest,
  answers,
  wholePath,
  unaltered,
]
