/** Which receiver: batched where it works, node:dgram elsewhere, or the one asked for. */
import { MirrorError } from '../../base/errors.ts'
import type { DatagramHandler, DatagramReceiver, ReceiverOptions } from '../datagram-receiver.ts'
import { openDgramReceiver } from './dgram-receiver.ts'
import { type ImportKoffi, type Libc, loadLibc } from './libc.ts'
import { openRecvmmsgReceiver } from './recvmmsg-receiver.ts'

/**
 * @param kind undefined: recvmmsg where koffi loads, else dgram
 * @throws MirrorError ERR_LISTEN for an address that cannot be bound; ERR_RECEIVER when recvmmsg is asked for and cannot work here, with the reason
 */
export async function openReceiver(
  kind: DatagramReceiver['kind'] | undefined,
  options: ReceiverOptions,
  handler: DatagramHandler,
  importKoffi?: ImportKoffi,
): Promise<DatagramReceiver> {
  const libc = await checkReceiver(kind, options.sharesPorts ?? false, importKoffi)
  return libc === null ? openDgramReceiver(options, handler) : openRecvmmsgReceiver(options, handler, libc)
}

/**
 * Opens nothing.
 * @returns what a recvmmsg receiver calls; null: node:dgram receives
 * @throws MirrorError ERR_RECEIVER as `openReceiver`
 */
export async function checkReceiver(
  kind: DatagramReceiver['kind'] | undefined,
  sharesPorts: boolean,
  importKoffi?: ImportKoffi,
): Promise<Libc | null> {
  if (kind === 'dgram' && sharesPorts) throw needsRecvmmsg('--receiver is dgram')
  if (kind === 'dgram') return null
  try {
    return await loadLibc(importKoffi)
  } catch (error) {
    if (kind === 'recvmmsg') throw error
    if (sharesPorts) throw needsRecvmmsg((error as Error).message)
    return null
  }
}

function needsRecvmmsg(why: string): MirrorError {
  return new MirrorError('ERR_RECEIVER', `--reuse-port needs --receiver recvmmsg: ${why}`)
}
