/**
 * A larger receive buffer for node:dgram's sockets than net.core.rmem_max allows: SO_RCVBUFFORCE through koffi, where that loads
 * and the process has CAP_NET_ADMIN. Node tells no descriptor, so it is found by the socket's inode.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import type { ListenAddress } from '../datagram-receiver.ts'
import { koffiAvailable, loadLibc } from './libc.ts'
import { readInodes } from './proc-net-udp.ts'
import { SO_RCVBUFFORCE, SOL_SOCKET } from './udp-socket.ts'

/** Tries; what was granted is read back by the caller. */
export async function forceReceiveBuffers(bound: readonly ListenAddress[], bytes: number): Promise<void> {
  if (!(await koffiAvailable())) return
  const inodes = readInodes(bound)
  if (inodes === null) return
  const libc = await loadLibc()
  for (const descriptor of readdirSync('/proc/self/fd')) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`))?.[1]
      if (inode !== undefined && inodes.includes(Number(inode)))
        libc.setsockopt(Number(descriptor), SOL_SOCKET, SO_RCVBUFFORCE, new Int32Array([bytes]), 4)
    } catch {
      // Closed since the folder was read.
    }
  }
}
