/** Kinds of value with a grammar of their own, apart from addresses. */
import * as z from 'zod'
import { regularExpressionOf } from '../base/regular-expression.ts'
import { type Kind, number, parsed, taken } from './kind.ts'
import { Refusal } from './refusal.ts'

/** The path of a file, or `-` where that means a standard stream. */
export const filePath = parsed('the path of a file', (text) => (text === '' ? new Refusal('it is empty') : text))

/** Any text that says something. */
export function words(expected: string) {
  return parsed(expected, (text) => (text.trim() === '' ? new Refusal('it is empty') : text))
}

/** tchar of RFC 9110 section 5.6.2: what methods and header names are made of. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** In lower case. */
export const headerName = parsed('a header name such as cookie', (text) =>
  TOKEN.test(text) ? text.toLowerCase() : new Refusal(''),
)

const KNOWN_METHODS = /^(get|head|post|put|delete|connect|options|trace|patch)$/i

export const method = parsed('a method such as GET', (text) => {
  if (!TOKEN.test(text)) return new Refusal('')
  const upper = text.toUpperCase()
  // Methods are case-sensitive (RFC 9110 section 9.1): taken as it is, `get` would silently match nothing.
  return text !== upper && KNOWN_METHODS.test(text)
    ? new Refusal(`methods are case-sensitive. Did you mean ${upper}?`)
    : text
})

export const glob = parsed('a path pattern such as /api/*', (text) =>
  /^[/*?]/.test(text) ? text : new Refusal('patterns are compared with the whole path, so they begin with / or *'),
)

/** A regular expression of RE2. The package is loaded by those who give one. */
export const regularExpression = parsed('a regular expression (RE2) such as ^/api/', (text) => {
  if (text === '') return new Refusal('it is empty')
  try {
    regularExpressionOf(text)
    return text
  } catch (error) {
    return new Refusal((error as Error).message.replace(/^error parsing regexp: /i, ''))
  }
})

/** In lower case. */
export const hostGlob = parsed('a host pattern such as *.example.com or api.example.com:8080', (text) =>
  /^[^\s/,]+$/.test(text) ? text.toLowerCase() : new Refusal('it is a name or address, with * and ? as wildcards'),
)

/** `2xx`, or a status; in lower case. */
export const status = parsed('a status such as 304, or a class such as 2xx', (text) =>
  /^[1-5]xx$|^[1-9]\d\d$/i.test(text) ? text.toLowerCase() : new Refusal(''),
)

export type SampleBy =
  | { readonly by: 'random' | 'connection' | 'client' }
  /** `name` in lower case. */
  | { readonly by: 'header'; readonly name: string }

export const sampleBy = {
  ...parsed('random, connection, client or header:NAME', (text): SampleBy | Refusal => {
    if (text === 'random' || text === 'connection' || text === 'client') return { by: text }
    const name = /^header:(.*)$/i.exec(text)?.[1]
    if (name === undefined) return new Refusal('')
    return TOKEN.test(name) ? { by: 'header', name: name.toLowerCase() } : new Refusal(`"${name}" is not a header name`)
  }),
  words: ['random', 'connection', 'client', 'header:NAME'],
  written: (value: SampleBy): string => (value.by === 'header' ? `header:${value.name}` : value.by),
} satisfies Kind

/** Requests per second. */
export const rate = {
  schema: z.union([z.number(), z.string()]).transform((raw, context) => {
    const perSecond = Number(/^(\d+(?:\.\d+)?)(?:\/s)?$/.exec(String(raw))?.[1])
    return taken(perSecond >= 0.001 && perSecond <= 10_000_000 ? perSecond : new Refusal(''), context)
  }),
  expected: 'a number of requests per second above 0 (such as 100 or 100/s)',
  fromText: (text: string): unknown => text,
} satisfies Kind

const factor = number(0.001, 1_000_000, '')

/** A factor on the captured time, or `max` for no waiting at all. */
export const speed = {
  schema: z.union([factor.schema, z.literal('max')]),
  expected: 'a factor above 0 (such as 1 or 2.5) or max',
  fromText: factor.fromText,
  words: ['max'],
} satisfies Kind
