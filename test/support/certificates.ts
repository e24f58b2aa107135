/** X.509 certificates made while a test runs (RFC 5280), with keys that live as long: nothing to store, nothing that expires in the repository. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

export interface Issued {
  readonly cert: string
  readonly key: string
}

export interface Authority extends Issued {
  readonly name: string
  readonly keyObject: KeyObject
}

export interface Wanted {
  readonly name: string
  /** Names of the certificate; none for a client's. */
  readonly dns?: readonly string[]
  readonly ip?: readonly string[]
  readonly from?: Date
  readonly until?: Date
}

const DAY_MS = 86_400_000

export function authority(name: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const cert = certificate({ name }, keys.publicKey, name, keys.privateKey, [
    // basicConstraints: CA
    extension('551d13', true, sequence(bool(true))),
  ])
  return { name, cert, key: pkcs8(keys.privateKey), keyObject: keys.privateKey }
}

export function issue(by: Authority, wanted: Wanted): Issued {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const names = [
    ...(wanted.dns ?? []).map((name) => tlv(0x82, Buffer.from(name, 'latin1'))),
    ...(wanted.ip ?? []).map((ip) => tlv(0x87, Buffer.from(ip.split('.').map(Number)))),
  ]
  const extensions = names.length === 0 ? [] : [extension('551d11', false, sequence(...names))]
  return {
    cert: certificate(wanted, keys.publicKey, by.name, by.keyObject, extensions),
    key: pkcs8(keys.privateKey),
  }
}

function certificate(wanted: Wanted, key: KeyObject, issuer: string, signer: KeyObject, extensions: Buffer[]): string {
  // ecdsa-with-SHA256
  const algorithm = sequence(oid('2a8648ce3d040302'))
  const from = wanted.from ?? new Date(Date.now() - DAY_MS)
  const until = wanted.until ?? new Date(Date.now() + DAY_MS)
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(8)])
  const body = sequence(
    // version 3
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    algorithm,
    distinguishedName(issuer),
    sequence(generalizedTime(from), generalizedTime(until)),
    distinguishedName(wanted.name),
    key.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [tlv(0xa3, sequence(...extensions))]),
  )
  const signature = tlv(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, signer)]))
  const der = sequence(body, algorithm, signature)
  const lines = der.toString('base64').match(/.{1,64}/g)!
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function pkcs8(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}

// --- DER (X.690) ---

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  const long = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...long]), content])
}

function sequence(...parts: Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts))
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'))
}

function bool(value: boolean): Buffer {
  return tlv(0x01, Buffer.from([value ? 0xff : 0]))
}

/** CN alone. */
function distinguishedName(name: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(name)))))
}

function generalizedTime(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  return tlv(0x18, Buffer.from(text, 'latin1'))
}

function extension(id: string, isCritical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(isCritical ? [bool(true)] : []), tlv(0x04, value))
}
