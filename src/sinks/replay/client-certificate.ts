/** PEM files of the TLS options, checked at start: a service must not find out with its first request that a key does not fit. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** @returns what is wrong with a file of certificates, or null */
export function certificatesFault(pem: string): string | null {
  const blocks = pem.match(CERTIFICATE)
  if (blocks === null) return 'it is not PEM: no -----BEGIN CERTIFICATE----- stands in it'
  for (const [i, block] of blocks.entries()) {
    if (parseCertificate(block) === null) return `certificate ${i + 1} of ${blocks.length} in it cannot be read`
  }
  return null
}

/**
 * @param certificate a file without `certificatesFault`
 * @returns what is wrong with the key, by itself or for the first certificate, or null
 */
export function keyFault(key: string, certificate: string): string | null {
  if (!/-----BEGIN (\w+ )*PRIVATE KEY-----/.test(key))
    return 'it is not PEM: no -----BEGIN … PRIVATE KEY----- stands in it'
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(key))
    return 'the key is encrypted, and nobody is there to ask: openssl pkey -in FILE -out FILE makes a plain one'
  let parsed: KeyObject
  try {
    parsed = createPrivateKey(key)
  } catch {
    return 'the key in it cannot be read'
  }
  // The first is the client's own; its chain stands after it (RFC 8446 section 4.4.2).
  const own = parseCertificate(certificate.match(CERTIFICATE)![0])!
  return own.checkPrivateKey(parsed) ? null : 'the key does not belong to the certificate of --tls-cert'
}

function parseCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem)
  } catch {
    return null
  }
}
