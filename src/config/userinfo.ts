/** The user and password that a URL may hold: they stand in no message, since logs are read by many. */

const SCHEME = /^(?:[a-z][a-z0-9+.-]*:)?\/\//i

/**
 * Text that may have been meant as a URL, without what may have been meant as user and password. To the last `@`, as URL parsers read it, and
 * beyond any slash: a password that should have been escaped is one all the same.
 */
export function withoutUserinfo(text: string): string {
  const end = text.lastIndexOf('@')
  if (end < 0) return text
  const scheme = SCHEME.exec(text)?.[0] ?? ''
  const hasUser = scheme !== '' || /^[^/]*:/.test(text.slice(0, end))
  return hasUser ? `${scheme}…${text.slice(end)}` : text
}
