/** PromQL as the dashboard needs it: every selector is narrowed by the dashboard's variables. */

const SELECTED = 'job=~"$job", instance=~"$instance"'

/** A metric of the chosen instances. @param labels further matchers */
export function of(metric: string, labels = ''): string {
  return `${metric}{${SELECTED}${labels === '' ? '' : `, ${labels}`}}`
}

/** Per second. */
export function rate(metric: string, labels = ''): string {
  return `rate(${of(metric, labels)}[$__rate_interval])`
}

/** Per second, of all chosen instances together. @param by labels that are kept */
export function total(metric: string, labels = '', by: readonly string[] = []): string {
  return `sum${by.length === 0 ? '' : ` by (${by.join(', ')})`} (${rate(metric, labels)})`
}

/** Share of `part` in `whole`, 0 to 1; 0 where there is neither, so that "nothing lost" is not "no data". */
export function share(part: string, whole: string): string {
  return `(${part}) / (${whole} > 0) or vector(0)`
}

/** Of all chosen instances. */
export function quantile(q: number, histogram: string): string {
  return `histogram_quantile(${q}, ${total(`${histogram}_bucket`, '', ['le'])})`
}
