/** Printable: one line, what is not ASCII as escapes. */
export function escaped(text: string): string {
  return text.replace(/[^\x20-\x7e…·]|\\/g, (c) => {
    if (c === '\r') return '\\r'
    if (c === '\n') return '\\n'
    if (c === '\t') return '\\t'
    return c === '\\' ? '\\\\' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
