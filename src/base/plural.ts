/** Numbers as people read them. */

/** Digits in groups of three. By hand: the first toLocaleString of a process loads tables for tens of milliseconds. */
export function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`
}
