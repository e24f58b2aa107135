/** Lines of one row: what stands first is never cut, what there is no room for is left out whole. */

/** A text, or several ways to say it, the longest first. */
export type Part = string | readonly string[]

/**
 * The parts, the most important first, as far as they fit. The first that does not, in its shortest form, ends the line.
 * @param width columns
 */
export function fitParts(parts: readonly Part[], width: number, separator = ' · '): string {
  let line = ''
  for (const part of parts) {
    const before = line === '' ? '' : `${line}${separator}`
    const forms = typeof part === 'string' ? [part] : part
    const fitting = forms.find((form) => before.length + form.length <= width)
    if (fitting === undefined) break
    line = before + fitting
  }
  return line
}

/** Columns that a line may take without wrapping. */
export function columnsOf(stream: { readonly columns?: number }): number {
  const { columns = 0 } = stream
  return (columns > 0 ? columns : 80) - 1
}
