/**
 * Packets from a network interface, through the optional package cap (libpcap). For local testing, GRE and ERSPAN.
 * Main thread only: cap hangs on the process's first event loop.
 *
 * Hazards of cap 0.2 kept from callers here:
 * - it writes into the Buffer given to open() without keeping it alive, and every packet overwrites the one before;
 * - a Cap object whose open() failed aborts the process when it is collected (seen), and one that was closed would be freed with
 *   a poll handle that libuv was never told to close (read in its source, no crash seen): none is ever let go (see `retained`);
 * - it tells neither the wire length nor the time nor the kernel's drops;
 * - one callback per packet, all that wait in one go: a busy interface keeps the event loop from everything else.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'
import type { Clock } from '../../base/clock.ts'
import { MirrorError } from '../../base/errors.ts'
import { CaptureRecord } from '../capture-record.ts'

export interface InterfaceCaptureOptions {
  readonly interfaceName: string
  /** pcap-filter(7) expression; empty takes everything. */
  readonly filter: string
  /**
   * Kernel buffer of the capture, at least 2 MiB. cap asks for 64 KiB of every packet and libpcap makes all slots that size: a
   * packet takes up to 128 KiB, so 64 MiB hold 511 packets on loopback. What does not fit is lost and, cap being silent, not counted.
   */
  readonly bufferBytes: number
  /** Bytes kept of each packet, at most 65,535: more is never captured. */
  readonly snapLength: number
}

export interface PacketHandler {
  /**
   * One packet, borrowed until this returns. `wireLength` is the captured length: libpcap knows the true one, cap does not tell
   * it. `timeUs` is the moment of delivery.
   */
  packet(record: CaptureRecord): void
  /** After the last packet of a turn of the event loop, and on a slow tick without any: flush and publish now. */
  batchEnd(): void
}

export interface InterfaceCapture {
  readonly interfaceName: string
  /** LINKTYPE_ value of every packet of this capture. */
  readonly linkType: number
  /** Hands over what waits, then closes. Idempotent. */
  stop(): Promise<void>
}

/** The part of package cap used here. */
export interface CapModule {
  readonly Cap: {
    new (): Cap
    deviceList(): { name: string }[]
  }
}
interface Cap {
  open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string
  close(): void
  on(event: 'packet', listener: (length: number, truncated: boolean) => void): void
}

export type ImportCap = () => Promise<unknown>
const CAP: string = 'cap'
const importCap: ImportCap = () => import(CAP)

const IDLE_TICK_MS = 100
const MOST_SNAP_LENGTH = 65_535
/** 16 slots on loopback. With 64 KiB there is none, and no packet ever arrives (tried with libpcap 1.10.3). */
const LEAST_BUFFER_BYTES = 2 << 20
const retained: { cap: Cap; buffer: Buffer }[] = []

/** Devices of libpcap that are no network interfaces. */
const PSEUDO_DEVICE = /^(any|nflog|nfqueue|bluetooth|dbus|usbmon|rpcap|dag)/

/** @throws MirrorError ERR_INTERFACE: cap not built, no such interface, it is down, no permission, a filter libpcap refuses */
export async function openInterfaceCapture(
  options: InterfaceCaptureOptions,
  handler: PacketHandler,
  clock: Clock,
  importModule: ImportCap = importCap,
): Promise<InterfaceCapture> {
  const { interfaceName, filter, bufferBytes, snapLength } = options
  if (!isMainThread) throw interfaceError(interfaceName, 'package cap works on the main thread only')
  const { Cap } = await checkInterface(interfaceName, importModule)

  const cap = new Cap()
  const buffer = Buffer.alloc(Math.min(snapLength, MOST_SNAP_LENGTH))
  retained.push({ cap, buffer })
  let linkTypeName: string
  try {
    linkTypeName = cap.open(interfaceName, filter, Math.max(bufferBytes, LEAST_BUFFER_BYTES), buffer)
  } catch (error) {
    throw openError(interfaceName, filter, error)
  }

  const record = new CaptureRecord()
  record.bytes = buffer
  record.linkType = linkTypeOf(linkTypeName)
  let received = 0
  let receivedAtTick = 0
  let isBatchOpen = false
  cap.on('packet', (length) => {
    received++
    record.end = length
    record.wireLength = length
    record.timeUs = clock.nowUs()
    handler.packet(record)
    if (isBatchOpen) return
    isBatchOpen = true
    setImmediate(() => {
      isBatchOpen = false
      handler.batchEnd()
    })
  })
  const idleClock = setInterval(() => {
    if (received === receivedAtTick) handler.batchEnd()
    receivedAtTick = received
  }, IDLE_TICK_MS)

  let stopped: Promise<void> | undefined
  const close = async (): Promise<void> => {
    clearInterval(idleClock)
    // One whole turn of the event loop: cap's callback takes all that waits. The first may end before it polls.
    await nextTurn()
    await nextTurn()
    cap.close()
    handler.batchEnd()
  }
  return {
    interfaceName,
    linkType: record.linkType,
    stop: () => {
      stopped ??= close()
      return stopped
    },
  }
}

/** Captures nothing. @throws MirrorError ERR_INTERFACE: cap not built, no such interface */
export async function checkInterface(interfaceName: string, importModule: ImportCap = importCap): Promise<CapModule> {
  const module = await loadCap(interfaceName, importModule)
  const names = module.Cap.deviceList().map((device) => device.name)
  if (names.includes(interfaceName)) return module
  const interfaces = names.filter((name) => !PSEUDO_DEVICE.test(name))
  throw interfaceError(interfaceName, `no such interface; there are ${interfaces.join(', ') || 'none'}`)
}

async function loadCap(interfaceName: string, importModule: ImportCap): Promise<CapModule> {
  try {
    const imported = (await importModule()) as { default?: CapModule } & CapModule
    return imported.default ?? imported
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error)
    throw interfaceError(
      interfaceName,
      `the optional package cap is not built (${reason}). It needs libpcap and a compiler: apt-get install libpcap-dev g++ make python3, then npm ci again (with npm_config_nodedir=/usr where Node's headers are in /usr/include/node)`,
      error,
    )
  }
}

/** cap throws libpcap's text and nothing else: what went wrong is told from that. */
function openError(interfaceName: string, filter: string, error: unknown): MirrorError {
  const text = error instanceof Error ? error.message.trim() : String(error)
  if (/permi|CAP_NET/i.test(text))
    return interfaceError(interfaceName, `no permission to capture: run as root or with CAP_NET_RAW (${text})`, error)
  if (/not up|is down/i.test(text)) return interfaceError(interfaceName, `the interface is down (${text})`, error)
  if (filter !== '' && !/^socket|no such device/i.test(text))
    return interfaceError(interfaceName, `--filter ${JSON.stringify(filter)} is refused by libpcap: ${text}`, error)
  return interfaceError(interfaceName, text === '' ? 'libpcap cannot open it and does not say why' : text, error)
}

function interfaceError(interfaceName: string, reason: string, cause?: unknown): MirrorError {
  return new MirrorError('ERR_INTERFACE', `--interface ${interfaceName}: ${reason}`, { cause })
}

/** cap's names of link types as LINKTYPE_ values; it knows these, and gives others as `Unknown linktype N` with libpcap's DLT number. */
const LINK_TYPES: Readonly<Record<string, number>> = {
  NULL: 0,
  ETHERNET: 1,
  RAW: 101,
  LINKTYPE_LINUX_SLL: 113,
  IEEE802_11_RADIO: 127,
}
/** The DLT numbers of Linux network devices that differ from their LINKTYPE; from 104 on the two are the same. */
const LINKTYPE_OF_DLT: Readonly<Record<number, number>> = { 11: 100, 12: 101 }

/** Unknown names become -1, which no link type is: the packets are then counted as of a link type that is not read. */
export function linkTypeOf(name: string): number {
  const known = LINK_TYPES[name]
  if (known !== undefined) return known
  const dlt = /^Unknown linktype (\d+)$/.exec(name)?.[1]
  if (dlt === undefined) return -1
  return LINKTYPE_OF_DLT[Number(dlt)] ?? Number(dlt)
}
