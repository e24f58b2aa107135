/** Content-Type (RFC 9110 section 8.3), and whether a body is text. */

export interface MediaType {
  /** `type/subtype` in lower case; empty where none is stated. */
  readonly essence: string
  /** Names in lower case, values without quotes. */
  readonly parameters: ReadonlyMap<string, string>
}

export function parseMediaType(value: string): MediaType {
  const end = value.indexOf(';')
  const essence = (end < 0 ? value : value.slice(0, end)).trim().toLowerCase()
  return { essence, parameters: end < 0 ? new Map() : parseParameters(value.slice(end)) }
}

/** `; name=value; name="quoted"`: of Content-Type and Content-Disposition. The first of equal names counts. */
export function parseParameters(text: string): Map<string, string> {
  const parameters = new Map<string, string>()
  for (const [, name, quoted, token] of text.matchAll(/;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))/g)) {
    const key = name!.toLowerCase()
    if (!parameters.has(key)) parameters.set(key, quoted === undefined ? token! : quoted.replace(/\\(.)/g, '$1'))
  }
  return parameters
}

const TEXT =
  /^(text\/|application\/(.*\+)?(json|xml|javascript|ecmascript|graphql|yaml|x-www-form-urlencoded|x-javascript|x-ndjson|ndjson|sql|toml|x-yaml|x-sh)$|image\/svg\+xml$|multipart\/form-data$|message\/)/

/**
 * A body as text, by its charset or as UTF-8; null where it is none, or where its bytes do not fit.
 * @param type as stated; without one a body is text if it is UTF-8 without control characters
 */
export function bodyAsText(bytes: Buffer, type: MediaType): string | null {
  const isText = TEXT.test(type.essence)
  if (!isText && type.essence !== '') return null
  let text: string
  try {
    text = new TextDecoder(type.parameters.get('charset') ?? 'utf-8', { fatal: true }).decode(bytes)
  } catch {
    // A charset that nobody knows, or bytes that it does not have.
    return null
  }
  return isText || isPlain(text) ? text : null
}

/** A body whose text, written as UTF-8, is byte for byte what was captured; null where there is none. */
export function bodyAsExactText(bytes: Buffer): string | null {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
  return isPlain(text) ? text : null
}

function isPlain(text: string): boolean {
  return !/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text)
}
