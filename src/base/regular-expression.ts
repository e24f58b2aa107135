/**
 * Regular expressions of RE2: matching takes time in proportion to the text, whatever the expression. Captured text is written by strangers,
 * and a RegExp can be made to take for ever.
 */
import { createRequire } from 'node:module'

export interface RegularExpression {
  /** Whether it is found anywhere in the text. */
  isIn(text: string): boolean
}

interface Re2js {
  readonly RE2JS: { compile(text: string): { matcher(text: string): { find(): boolean } } }
}

/** The package is loaded by those who have an expression. @throws Error that says what is wrong with it */
export function regularExpressionOf(text: string): RegularExpression {
  const { RE2JS } = createRequire(import.meta.url)('re2js') as Re2js
  const compiled = RE2JS.compile(text)
  return { isIn: (subject) => compiled.matcher(subject).find() }
}
