/** Whether datagrams can be received here: koffi, recvmmsg, the kernel's buffers. Tried with the receiver that `run` uses. */
import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { readKernelFile } from '../../base/kernel-file.ts'
import { formatBytes } from '../../config/quantities.ts'
import type { DatagramReceiver } from '../../sources/datagram-receiver.ts'
import { openInterfaceCapture } from '../../sources/live/interface-capture.ts'
import { loadLibc } from '../../sources/live/libc.ts'
import { openReceiver } from '../../sources/live/open-receiver.ts'
import type { ServiceOptions } from '../service.ts'
import { type Check, ok, warning, wrong } from './check.ts'

/** A datagram over loopback takes microseconds. */
const MOST_WAIT_MS = 1000
const LOOK_MS = 5
const PROBE = Buffer.from('mirrorshard doctor')
/** Linux's own default; less was set by somebody. */
const FRAGMENT_BYTES = 4 * 1024 ** 2
const SNAP_LENGTH = 65_535

export async function koffiCheck(options: ServiceOptions): Promise<Check[]> {
  const needs = options.receiver === 'recvmmsg' || options.receivers > 1 || options.sharesPorts
  if (options.receiver === 'dgram') return [ok('koffi', 'not needed: --receiver dgram')]
  try {
    await loadLibc()
    return [ok('koffi', 'loads, and the system has recvmmsg')]
  } catch (error) {
    const action = 'npm install --include=optional; without it node:dgram receives, at four times the CPU'
    return [(needs ? wrong : warning)('koffi', (error as Error).message, action)]
  }
}

/** A datagram to itself, through the receiver and a socket like those of --listen. */
export async function loopbackCheck(options: ServiceOptions): Promise<Check[]> {
  let received = 0
  const receiver = await openReceiver(
    options.receiver,
    {
      addresses: [{ host: '127.0.0.1', port: 0 }],
      receiveBufferBytes: options.receiveBufferBytes,
      datagramBytes: options.datagramBytes,
    },
    {
      datagram: (bytes, at, end) => {
        if (PROBE.equals(bytes.subarray(at, end))) received++
      },
      batchEnd: () => {},
    },
  )
  try {
    const socket = createSocket('udp4').unref()
    socket.send(PROBE, receiver.bound[0]!.port, '127.0.0.1')
    const end = performance.now() + MOST_WAIT_MS
    while (received === 0 && performance.now() < end) await sleep(LOOK_MS)
    socket.close()
    return [
      received > 0
        ? ok('receiving', `${receiver.kind} took a datagram over loopback`)
        : wrong(
            'receiving',
            `${receiver.kind} got no datagram over loopback within a second`,
            'see whether lo is up and whether a firewall drops UDP on it',
          ),
      bufferCheck(receiver, options),
    ]
  } finally {
    await receiver.stop()
  }
}

function bufferCheck({ grantedBufferBytes }: DatagramReceiver, { receiveBufferBytes }: ServiceOptions): Check {
  // Linux reports twice what it grants.
  const granted = Math.min(...grantedBufferBytes) / 2
  const most = sysctl('net/core/rmem_max')
  const limit = most === null ? '' : ` (net.core.rmem_max is ${formatBytes(most)})`
  return granted >= receiveBufferBytes
    ? ok('receive buffer', `${formatBytes(receiveBufferBytes)} of ${formatBytes(receiveBufferBytes)} granted${limit}`)
    : warning(
        'receive buffer',
        `${formatBytes(granted)} of ${formatBytes(receiveBufferBytes)} granted${limit}: bursts may be lost`,
        `sysctl -w net.core.rmem_max=${receiveBufferBytes}, or run with CAP_NET_ADMIN`,
      )
}

/** Fragmented mirror datagrams are put together by the kernel before a socket sees them. */
export function fragmentCheck(): Check[] {
  const bytes = sysctl('net/ipv4/ipfrag_high_thresh')
  if (bytes === null) return []
  const found = `${formatBytes(bytes)} for fragments of mirrored datagrams, ${sysctl('net/ipv4/ipfrag_time')} s (net.ipv4.ipfrag_*)`
  return [
    bytes >= FRAGMENT_BYTES
      ? ok('fragments', found)
      : warning(
          'fragments',
          found,
          `sysctl -w net.ipv4.ipfrag_high_thresh=${FRAGMENT_BYTES}, or an MTU that leaves room`,
        ),
  ]
}

/** With --interface: package cap, the interface, the right to capture, the filter. */
export async function interfaceCheck(options: ServiceOptions): Promise<Check[]> {
  const { interface: asked, clock } = options
  if (asked === null) return []
  const capture = await openInterfaceCapture(
    { interfaceName: asked.name, filter: asked.filter, bufferBytes: asked.bufferBytes, snapLength: SNAP_LENGTH },
    { packet: () => {}, batchEnd: () => {} },
    clock,
  )
  await capture.stop()
  return [ok('interface', `${asked.name} can be captured from, link type ${capture.linkType}`)]
}

function sysctl(path: string): number | null {
  const text = readKernelFile(`/proc/sys/${path}`)
  return text === null ? null : Number(text.trim().split(/\s+/)[0])
}
