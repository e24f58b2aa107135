/** A capture from the receiver's wire through the model of its TCP. */
import { seqAdd, seqBefore } from '../../src/wire/seq.ts'
import { internetChecksum } from '../support/packets.ts'
import type { Coalescing } from './ahead-of-hole.ts'
import { LinuxReceiver, type ModelledStream } from './linux-acceptance.ts'
import type { Captured, Scenario } from './scenario.ts'
import { readSegment, type Seen } from './segment.ts'

export function modelledStreams(capture: readonly Captured[], coalescing: Coalescing): ModelledStream[] {
  const receivers = new Map<number, LinuxReceiver>()
  const order: ModelledStream[] = []
  let at = 0
  // Only the kernel knows: its next packet says what it did.
  const predictsHeader = ({ seq, data }: Seen): boolean => {
    const answer = capture.slice(at + 1).find(({ isFromServer }) => isFromServer)
    const acknowledged = answer === undefined ? null : readSegment(answer.bytes)
    return acknowledged !== null && !seqBefore(acknowledged.ack, seqAdd(seq, data.length))
  }
  for (const [i, { bytes, isFromServer }] of capture.entries()) {
    at = i
    const seen = readSegment(bytes)
    if (seen === null || (!isFromServer && !hasRightChecksums(bytes))) continue
    const port = (isFromServer ? seen.to : seen.from).port
    const receiver = receivers.get(port) ?? new LinuxReceiver({ coalescing, predictsHeader, checksEcho: true })
    receivers.set(port, receiver)
    if (isFromServer) receiver.sent(seen)
    else receiver.segment(seen)
    for (const stream of receiver.streams) if (!order.includes(stream)) order.push(stream)
  }
  return order
}

/** Where the kernel's application read something that the model does not have, or not all of it; null where they agree. */
export function disagreement(scenario: Scenario): string | null {
  let text: string | null = null
  for (const coalescing of ['always', 'never'] as const) {
    text = difference(scenario, modelledStreams(scenario.capture, coalescing))
    if (text === null) return null
  }
  return text
}

function difference({ connections }: Scenario, streams: readonly ModelledStream[]): string | null {
  if (streams.some(({ isUndecided }) => isUndecided)) return null
  if (streams.length !== connections.length)
    return `the model has ${streams.length} connections, the receiver ${connections.length}`
  for (const [i, { bytes }] of connections.entries()) {
    const { chunks, urgent } = streams[i]!
    const whole = Buffer.concat(chunks)
    const at = firstDifference(bytes, whole, urgent)
    if (at >= 0)
      return `connection ${i}: differs at ${at} of ${bytes.length} bytes read, ${whole.length} by the model: ${JSON.stringify(bytes.toString('latin1', at, at + 20))}, ${JSON.stringify(whole.toString('latin1', at, at + 20))}`
  }
  return null
}

/** @param optional offsets in `whole` of bytes that may be left out; reads end at one, and may not have gone on */
function firstDifference(bytes: Buffer, whole: Buffer, optional: ReadonlySet<number>): number {
  const mayStop = optional.size > 0
  /** How much of `bytes` the part of `whole` so far can be. */
  let reached = new Set([0])
  let furthest = 0
  for (const [offset, byte] of whole.entries()) {
    const next = new Set<number>()
    for (const at of reached) {
      if (bytes[at] === byte) next.add(at + 1)
      if (optional.has(offset)) next.add(at)
    }
    if (next.size === 0) return furthest === bytes.length && mayStop ? -1 : furthest
    reached = next
    furthest = Math.max(furthest, ...reached)
  }
  return reached.has(bytes.length) || (mayStop && furthest === bytes.length) ? -1 : furthest
}

export function hasRightChecksums(packet: Buffer): boolean {
  const ipLength = (packet[0]! & 15) << 2
  if (internetChecksum(packet.subarray(0, ipLength)) !== 0) return false
  const bytes = packet.subarray(ipLength, packet.readUInt16BE(2))
  const pseudo = Buffer.alloc(4)
  pseudo[1] = packet[9]!
  pseudo.writeUInt16BE(bytes.length, 2)
  return internetChecksum(Buffer.concat([packet.subarray(12, 20), pseudo]), bytes) === 0
}
