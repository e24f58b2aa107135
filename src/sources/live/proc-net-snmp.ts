/** Counts of the IP stack as /proc/self/net prints them (proc(5)): for the network namespace, all programs together. */

/** snmp and netstat: names stand in one line, values in the next, both after `Ip: ` and the like. @returns `Ip.InReceives` → value */
export function parseSnmp(text: string): Map<string, number> {
  const values = new Map<string, number>()
  let names: readonly string[] = []
  for (const line of text.split('\n')) {
    const [prefix = '', ...columns] = line.trim().split(/\s+/)
    if (!prefix.endsWith(':')) continue
    if (columns.some((column) => /[A-Za-z]/.test(column))) names = columns
    else for (const [i, value] of columns.entries()) values.set(`${prefix.slice(0, -1)}.${names[i]}`, Number(value))
  }
  return values
}

/** snmp6: a name and its value in each line. */
export function parseSnmp6(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^(\w+)\s+(\d+)$/gm)].map(([, name, value]) => [name!, Number(value)]))
}
