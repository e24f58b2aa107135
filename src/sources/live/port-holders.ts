/** Who has a port: sockets of /proc/net, and the processes whose descriptors lead to them (proc(5)). */
import { readdirSync, readlinkSync } from 'node:fs'
import { readKernelFile } from '../../base/kernel-file.ts'
import { hex, INODE_COLUMN, LOCAL_ADDRESS_COLUMN, readRows } from './proc-net-udp.ts'

const STATE_COLUMN = 3
/** Where no process has a UDP socket. */
export const KERNEL_HOLDER = 'the kernel itself: a tunnel device (ip -d link show type vxlan)'
/** TCP_LISTEN. */
const LISTENING = '0A'

/** `node (pid 12)`, each once. A socket of no process that we may see is the kernel's own, or another user's. */
export function findHolders(protocol: 'udp' | 'tcp', port: number): string[] {
  const inodes = inodesOf(protocol, port)
  if (inodes.size === 0) return []
  const found = new Set<string>()
  const left = new Set(inodes)
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of list(`/proc/${pid}/fd`)) {
      const inode = socketInode(`/proc/${pid}/fd/${descriptor}`)
      if (inode === null || !inodes.has(inode)) continue
      left.delete(inode)
      found.add(`${commandOf(pid)} (pid ${pid})`)
    }
  }
  const isRoot = process.getuid?.() === 0
  if (left.size > 0 && found.size === 0)
    found.add(isRoot && protocol === 'udp' ? KERNEL_HOLDER : 'a process of another user')
  return [...found]
}

function inodesOf(protocol: 'udp' | 'tcp', port: number): Set<string> {
  const wanted = `:${hex(port, 4)}`
  const inodes = new Set<string>()
  for (const columns of [`/proc/net/${protocol}`, `/proc/net/${protocol}6`].flatMap(readRows)) {
    const isOpen = protocol === 'udp' || columns[STATE_COLUMN] === LISTENING
    if (isOpen && columns[LOCAL_ADDRESS_COLUMN]?.endsWith(wanted)) inodes.add(columns[INODE_COLUMN]!)
  }
  return inodes
}

function socketInode(path: string): string | null {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(path))?.[1] ?? null
  } catch {
    // Closed meanwhile.
    return null
  }
}

function commandOf(pid: string): string {
  return readKernelFile(`/proc/${pid}/comm`)?.trim() || 'a process'
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // Gone, or another user's.
    return []
  }
}
