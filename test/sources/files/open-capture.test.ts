import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { FileInput } from '../../../src/sources/files/file-input.ts'
import { openCapture } from '../../../src/sources/files/open-capture.ts'
import { pcapFile, pcapHeader, pcapRecord, Section } from './capture-builder.ts'
import { readAll } from './reading.ts'

const folder = mkdtempSync(join(tmpdir(), 'open-capture-'))
afterAll(() => rmSync(folder, { recursive: true }))

function fileOf(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

const PACKET = { data: Buffer.from('packet'), seconds: 1, fraction: 5 }
const PCAP = pcapFile([PACKET])
const PCAPNG = new Section().interface(1).enhanced(0, 1_000_005n, PACKET.data).end()
const AS_READ = [{ data: 'packet', wireLength: 6, linkType: 1, timeUs: 1_000_005 }]

describe('the format is told from the content, never from the name', () => {
  test.each([
    ['pcap.txt', PCAP],
    ['pcapng.pcap', PCAPNG],
    ['gzip.pcap', gzipSync(PCAP)],
    ['gzip.pcapng', gzipSync(PCAPNG)],
    ['plain.gz', PCAP],
  ])('%s', async (name, bytes) => {
    const source = await openCapture(fileOf(name, bytes))
    expect(source.bytesTotal).toBe(bytes.length)
    expect(await readAll(source)).toEqual(AS_READ)
    expect(source.bytesRead).toBe(bytes.length)
    await source.close()
  })
})

test('a file of several windows is read whole', async () => {
  const data = Buffer.alloc(700, 'x')
  const packets = Array.from({ length: 5000 }, (_, i) => ({ data, seconds: i, fraction: 0 }))
  const source = await openCapture(fileOf('long.pcap', pcapFile(packets)))
  const reads = await readAll(source)
  await source.close()
  expect(reads.map((read) => read.timeUs)).toEqual(packets.map((packet) => packet.seconds * 1e6))
  expect(reads.every((read) => read.data === data.toString())).toBe(true)
})

describe('a minus sign is standard input', () => {
  test.each([
    ['pcap', PCAP],
    ['gzip of pcapng', gzipSync(PCAPNG)],
  ])('%s', async (_, bytes) => {
    const stdin = Readable.from([bytes.subarray(0, 3), bytes.subarray(3, 3), bytes.subarray(3)], { objectMode: false })
    const source = await openCapture('-', { stdin })
    expect(source.bytesTotal).toBeNull()
    expect(await readAll(source)).toEqual(AS_READ)
    await source.close()
    expect(stdin.destroyed).toBe(true)
  })

  test('packets of a live pipe are handed out before it ends', async () => {
    const stdin = new PassThrough()
    stdin.write(pcapHeader())
    const source = await openCapture('-', { stdin })
    for (let i = 0; i < 3; i++) {
      stdin.write(pcapRecord({ ...PACKET, seconds: i }))
      expect(await source.fill()).toBe(true)
      expect(source.next()).toBe(true)
      expect(source.record.timeUs).toBe(i * 1e6 + 5)
      expect(source.next()).toBe(false)
    }
    stdin.end()
    expect(await source.fill()).toBe(false)
    await source.close()
  })

  test('a terminal is refused', async () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    await expect(openCapture('-', { stdin })).rejects.toMatchObject({
      code: 'ERR_CAPTURE_OPEN',
      message: 'cannot open standard input: it is a terminal, expected a capture piped in',
    })
  })

  test('a pipe that breaks is a read error that names the offset, and the end', async () => {
    const stdin = new PassThrough()
    stdin.write(PCAP)
    const source = await openCapture('-', { stdin })
    expect(await source.fill()).toBe(true)
    while (source.next());
    stdin.destroy(new Error('the pipe broke'))
    await expect(source.fill()).rejects.toMatchObject({
      code: 'ERR_CAPTURE_READ',
      message: `cannot read standard input at offset ${PCAP.length}: the pipe broke`,
    })
    expect(await source.fill()).toBe(false)
  })
})

describe('what cannot be opened is ERR_CAPTURE_OPEN', () => {
  test('missing', async () => {
    const path = join(folder, 'missing.pcap')
    const message = `cannot open ${path}: no such file or directory (ENOENT)`
    await expect(openCapture(path)).rejects.toMatchObject({ code: 'ERR_CAPTURE_OPEN', message })
  })

  test('a directory', async () => {
    const message = `cannot open ${folder}: it is a directory (EISDIR)`
    await expect(openCapture(folder)).rejects.toMatchObject({ code: 'ERR_CAPTURE_OPEN', message })
  })

  test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')('unreadable', async () => {
    const path = fileOf('secret.pcap', PCAP)
    chmodSync(path, 0)
    const message = `cannot open ${path}: permission denied (EACCES)`
    await expect(openCapture(path)).rejects.toMatchObject({ code: 'ERR_CAPTURE_OPEN', message })
  })
})

describe('what is not a capture is ERR_CAPTURE_FORMAT and says what was found', () => {
  test.each([
    ['empty.pcap', '', 'nothing: it is empty'],
    ['notes.txt', 'To be or\nnot to be, that', '54 6f 20 62 65 20 6f 72 0a 6e 6f 74 20 74 6f 20 ("To be or.not to ")'],
    ['short', 'ab', '61 62 ("ab")'],
    ['escape', '\x1b[2Jboo', '1b 5b 32 4a 62 6f 6f (".[2Jboo")'],
    ['a.zst', Buffer.from('28b52ffd0000', 'hex'), 'zstd data: unpack it first'],
    ['a.snoop', 'snoop\0\0\0', 'a snoop capture: convert it with "editcap -F pcap"'],
  ])('%s', async (name, content, found) => {
    const path = fileOf(name, content)
    await expect(openCapture(path)).rejects.toMatchObject({
      code: 'ERR_CAPTURE_FORMAT',
      message: `${path} is not a capture: expected pcap or pcapng, or either in gzip, found ${found}`,
    })
  })
})

test('a file that cannot be read on is ERR_CAPTURE_READ and names the offset', async () => {
  const path = fileOf('gone.pcap', PCAP)
  const input = await FileInput.open(path)
  const into = Buffer.alloc(10)
  expect(await input.read(into, 4)).toBe(6)
  await input.close()
  await expect(input.read(into, 0)).rejects.toMatchObject({
    code: 'ERR_CAPTURE_READ',
    message: expect.stringContaining(`cannot read ${path} at offset 6: `),
  })
})
