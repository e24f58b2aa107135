import { Worker } from 'node:worker_threads'
import { afterAll, expect, test } from 'vitest'
import { PacketView } from '../../src/decapsulation/packet-view.ts'
import { DOORBELL_BYTES, Doorbell } from '../../src/ring/doorbell.ts'
import { RING_MIN_CAPACITY, RingConsumer, ringBytes } from '../../src/ring/ring.ts'
import { compile } from '../support/compiled.ts'

const RECORDS = 200_000
const compiled = compile('ring/ring.ts', 'ring/doorbell.ts', 'decapsulation/packet-view.ts')
afterAll(() => compiled.remove())

const PRODUCER = `
  import { workerData } from 'node:worker_threads'
  import { RingProducer } from '${compiled.url('ring/ring.ts')}'
  import { PacketView } from '${compiled.url('decapsulation/packet-view.ts')}'
  import { Doorbell } from '${compiled.url('ring/doorbell.ts')}'
  const ring = new RingProducer(workerData.memory, new Doorbell(workerData.bell))
  const view = new PacketView()
  view.bytes = Buffer.alloc(2048)
  for (let n = 0; n < workerData.records; n++) {
    const length = 40 + (Math.imul(n, 2654435761) >>> 21) % 1400
    const at = n % 8
    let sum = 0
    for (let i = 4; i < length; i++) sum = (sum + (view.bytes[at + i] = (n + i) & 255)) | 0
    view.bytes.writeInt32LE(sum, at)
    view.ipAt = at
    view.tcpAt = at + 20
    view.end = view.trueEnd = at + length
    view.hash = n
    view.timeUs = n / 2
    while (!ring.tryWrite(view)) ring.publish()
    if (n % 97 === 0) ring.publish()
  }
  ring.publish()
`

test('two threads: every record arrives once, in order and unharmed', async () => {
  const memory = new SharedArrayBuffer(ringBytes(RING_MIN_CAPACITY))
  const bellMemory = new SharedArrayBuffer(DOORBELL_BYTES)
  const bell = new Doorbell(bellMemory)
  const worker = new Worker(compiled.script('producer.js', PRODUCER), {
    workerData: { memory, bell: bellMemory, records: RECORDS },
  })
  const failed = new Promise<never>((_, reject) => worker.once('error', reject))
  const ring = new RingConsumer(memory)
  const view = new PacketView()
  let n = 0
  const drain = async () => {
    while (n < RECORDS) {
      let read = 0
      while (read < 1000 && ring.next(view)) {
        const { bytes, ipAt, end } = view
        let sum = 0
        for (let i = ipAt + 4; i < end; i++) sum = (sum + bytes[i]!) | 0
        if (view.hash !== n || view.timeUs !== n / 2 || bytes.readInt32LE(ipAt) !== sum)
          throw new Error(`record ${n} came as ${view.hash}, sum ${sum}`)
        n++
        read++
      }
      ring.release()
      if (read === 0) await bell.sleep(() => ring.isEmpty(), 100)
    }
  }
  await Promise.race([drain(), failed])
  await worker.terminate()
  expect(n).toBe(RECORDS)
  expect(ring.isEmpty()).toBe(true)
  expect(ring.used()).toBe(0)
})
