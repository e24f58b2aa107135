/**
 * The few system calls that Node does not offer, called through koffi: a prebuilt FFI, so no compiler at install.
 *
 * Hazards of koffi that this module keeps from its callers:
 * - `address()` does not keep memory alive: whoever hands an address to the kernel holds the array for as long.
 * - `errno()` is only valid directly after the failing call.
 * - A poll callback comes as (status, events), whatever koffi's own types say.
 */
import { endianness } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { setExit } from '../../base/end-process.ts'
import { MirrorError } from '../../base/errors.ts'

export interface Libc {
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Uint8Array, addressLen: number): number
  listen(fd: number, backlog: number): number
  getsockname(fd: number, address: Uint8Array, addressLen: Uint32Array): number
  setsockopt(fd: number, level: number, option: number, value: Int32Array | Uint8Array, valueLen: number): number
  getsockopt(fd: number, level: number, option: number, value: Int32Array, valueLen: Uint32Array): number
  close(fd: number): number
  /** Ends the process. Waits for nothing, and does not return. */
  exit(code: number): void
  /** @param headers address of `count` mmsghdr structures @param timeout address of a timespec, 0 for none */
  recvmmsg(fd: number, headers: number, count: number, flags: number, timeout: number): number
  /** poll(2): blocks this thread. @param entries address of `count` pollfd structures */
  pollOnce(entries: number, count: number, timeoutMs: number): number
  /** Only directly after a call that returned a negative number. */
  errno(): number
  /** Where the array's memory is. Arrays over a SharedArrayBuffer never move; others may. */
  address(memory: ArrayBufferView): number
  poll(fd: number, options: { readable: true }, callback: (status: number) => void): PollHandle
}

/** Level-triggered readiness of one descriptor. Close it before the descriptor; never touch it after that. */
export interface PollHandle {
  start(options: { readable: true }, callback: (status: number) => void): void
  stop(): void
  close(): void
}

/** The part of koffi used here. Its own types are not imported: the build must pass where the package was not installed. */
interface Koffi {
  load(path: null): { func(name: string, result: string, parameters: readonly string[]): unknown }
  errno(): number
  address(value: ArrayBufferView): bigint
  sizeof(type: string): number
  readonly node: { poll: Libc['poll'] }
}

export type ImportKoffi = () => Promise<unknown>
const KOFFI: string = 'koffi'
const importKoffi: ImportKoffi = () => import(KOFFI)

/** Architectures whose socket constants and structure layouts are those of this folder (Linux, 64 bits, little-endian). */
const ARCHITECTURES: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64']
const EBADF = 9

let shared: Promise<Libc> | undefined

/** @throws MirrorError ERR_RECEIVER saying why batched receiving cannot work here */
export function loadLibc(importModule: ImportKoffi = importKoffi): Promise<Libc> {
  if (importModule !== importKoffi) return load(importModule)
  shared ??= load(importKoffi).then((libc) => {
    setExit(libc.exit)
    return libc
  })
  return shared
}

/** Whether batched receiving works here: Linux, a known architecture, and koffi installed and loadable. */
export async function koffiAvailable(): Promise<boolean> {
  try {
    await loadLibc()
    return true
  } catch {
    return false
  }
}

async function load(importModule: ImportKoffi): Promise<Libc> {
  if (process.platform !== 'linux') throw unavailable(`recvmmsg is a system call of Linux, this is ${process.platform}`)
  if (!ARCHITECTURES.includes(process.arch) || endianness() !== 'LE')
    throw unavailable(`expected one of the architectures ${ARCHITECTURES.join(', ')}, this is ${process.arch}`)
  let libc: Libc
  try {
    const imported = (await importModule()) as { default?: Koffi } & Koffi
    libc = bindFunctions(imported.default ?? imported)
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error)
    throw unavailable(
      `the optional package koffi does not load (${reason}); npm install --include=optional installs it`,
      error,
    )
  }
  // A sandbox may lack the call: called without a descriptor, it must complain about the descriptor.
  const probe = libc.recvmmsg(-1, 0, 1, 0, 0)
  const errno = probe < 0 ? libc.errno() : 0
  if (errno !== EBADF)
    throw unavailable(`this system refuses recvmmsg (${errno === 0 ? 'no error' : errnoName(errno)})`)
  return libc
}

function bindFunctions(koffi: Koffi): Libc {
  // null: the C library the node binary itself is linked with, glibc or musl.
  const library = koffi.load(null)
  const int = <F>(name: string, parameters: readonly string[]): F => library.func(name, 'int', parameters) as F
  return {
    socket: int<Libc['socket']>('socket', ['int', 'int', 'int']),
    bind: int<Libc['bind']>('bind', ['int', 'void *', 'uint']),
    listen: int<Libc['listen']>('listen', ['int', 'int']),
    getsockname: int<Libc['getsockname']>('getsockname', ['int', 'void *', 'void *']),
    setsockopt: int<Libc['setsockopt']>('setsockopt', ['int', 'int', 'int', 'void *', 'uint']),
    getsockopt: int<Libc['getsockopt']>('getsockopt', ['int', 'int', 'int', 'void *', 'void *']),
    close: int<Libc['close']>('close', ['int']),
    exit: library.func('_exit', 'void', ['int']) as Libc['exit'],
    // Addresses as numbers: a pointer type would have koffi look at the argument, per call.
    recvmmsg: int<Libc['recvmmsg']>('recvmmsg', ['int', 'uintptr_t', 'uint', 'int', 'uintptr_t']),
    pollOnce: int<Libc['pollOnce']>('poll', ['uintptr_t', 'ulong', 'int']),
    errno: () => koffi.errno(),
    address: (memory) => Number(koffi.address(memory)),
    poll: (fd, options, callback) => koffi.node.poll(fd, options, callback),
  }
}

function unavailable(reason: string, cause?: unknown): MirrorError {
  return new MirrorError('ERR_RECEIVER', `batched receiving (--receiver recvmmsg) is not available: ${reason}`, {
    cause,
  })
}

/** `EADDRINUSE` for 98. */
export function errnoName(errno: number): string {
  return getSystemErrorName(-errno)
}

/** The failure of the call just made, in the shape of Node's own system errors. */
export function lastSystemError(libc: Libc, call: string): Error & { code: string } {
  const code = errnoName(libc.errno())
  return Object.assign(new Error(`${call}: ${code}`), { code })
}
