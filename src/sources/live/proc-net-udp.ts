/** The kernel's drop counts as /proc/net/udp and /proc/net/udp6 print them (proc(5)): one line per socket. */
import ipaddr from 'ipaddr.js'
import { readKernelFile } from '../../base/kernel-file.ts'
import type { ListenAddress } from '../datagram-receiver.ts'

const TABLES = ['/proc/net/udp', '/proc/net/udp6'] as const
/** Columns as split by blanks; `tr tm->when` and `tx_queue rx_queue` are one column each. `drops` is the last. */
export const LOCAL_ADDRESS_COLUMN = 1
export const INODE_COLUMN = 9
const DROPS_COLUMN = 12

/**
 * Drops of each bound socket, in order; null where one cannot be found. Found by local address, which is one socket's alone
 * as long as nobody sets SO_REUSEADDR: Node tells neither descriptor nor inode. It reads two small files: once a second, not per packet.
 */
export function readDrops(bound: readonly ListenAddress[]): number[] | null {
  return readColumn(bound, DROPS_COLUMN)
}

/** Inodes of the bound sockets, in order: what their descriptors in /proc/self/fd point to. */
export function readInodes(bound: readonly ListenAddress[]): number[] | null {
  return readColumn(bound, INODE_COLUMN)
}

/** Sockets of all processes that are bound to this very address, in this network namespace. */
export function countBound(address: ListenAddress): number {
  const wanted = localAddressColumn(address)
  return TABLES.flatMap(readRows).filter((columns) => columns[LOCAL_ADDRESS_COLUMN] === wanted).length
}

function readColumn(bound: readonly ListenAddress[], column: number): number[] | null {
  const values = new Map<string, number>()
  for (const table of TABLES) addColumn(readRows(table), column, values)
  const found = bound.map((address) => values.get(localAddressColumn(address)))
  return found.every((count) => count !== undefined) ? found : null
}

/** Adds local address -> drops of every line of one table. */
export function parseDrops(text: string, into: Map<string, number>): void {
  addColumn(rowsOf(text), DROPS_COLUMN, into)
}

/** A table of sockets, a row for each, split into its columns: empty without IPv6, or without /proc. */
export function readRows(table: string): string[][] {
  return rowsOf(readKernelFile(table) ?? '')
}

function rowsOf(text: string): string[][] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
}

function addColumn(rows: readonly string[][], column: number, into: Map<string, number>): void {
  for (const columns of rows) {
    const local = columns[LOCAL_ADDRESS_COLUMN]
    const value = Number(columns[column])
    if (local !== undefined && Number.isInteger(value)) into.set(local, value)
  }
}

/** `0100007F:12B5` for 127.0.0.1:4789: words of the address as the machine reads them, then the port, in hex. */
export function localAddressColumn(address: ListenAddress): string {
  const bytes = Uint8Array.from(ipaddr.parse(address.host.split('%', 1)[0]!).toByteArray())
  const words = Array.from(new Uint32Array(bytes.buffer), (word) => hex(word, 8))
  return `${words.join('')}:${hex(address.port, 4)}`
}

export function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0')
}
