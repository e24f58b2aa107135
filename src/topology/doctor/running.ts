/** The mirrorshard that runs at --admin, where one does: what it says of itself at /diagnose. */
import { request } from 'node:http'
import { formatHostPort } from '../../config/addresses.ts'
import type { Finding } from '../../report/diagnosis/finding.ts'

const MOST_WAIT_MS = 2_000
const MOST_BYTES = 1 << 20

/** Null: nobody of ours is there. */
export interface Running {
  readonly address: string
  readonly status: string
  readonly findings: readonly Finding[]
}

/** @returns why it could not be asked, where somebody is there and does not tell */
export async function askRunning(
  admin: { readonly host: string; readonly port: number } | null,
  token: string | null,
): Promise<Running | string | null> {
  if (admin === null || admin.port === 0) return null
  const address = formatHostPort(admin)
  const answer = await get(admin, token)
  if (answer === null) return null
  if (answer.status === 401) return `${address} wants a token: --admin-token-file FILE`
  if (answer.status !== 200) return null
  try {
    const { status, findings } = JSON.parse(answer.text) as Running
    return Array.isArray(findings) ? { address, status, findings } : null
  } catch {
    return null
  }
}

function get(
  { host, port }: { readonly host: string; readonly port: number },
  token: string | null,
): Promise<{ status: number; text: string } | null> {
  const to = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return new Promise((done) => {
    const asked = request(
      {
        host: to,
        port,
        path: '/diagnose',
        agent: false,
        timeout: MOST_WAIT_MS,
        headers: token === null ? {} : { authorization: `Bearer ${token}` },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          text += part
          if (text.length > MOST_BYTES) asked.destroy()
        })
        response.on('end', () => done({ status: response.statusCode ?? 0, text }))
      },
    )
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => done(null))
    asked.on('close', () => done(null))
    asked.end()
  })
}
