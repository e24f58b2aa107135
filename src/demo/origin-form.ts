/** A target as it is sent to an origin (RFC 9112 section 3.2.1); an absolute-form one loses scheme and authority. */
export function originFormOf(target: string): string {
  const absolute = /^https?:\/\/[^/?]*(.*)$/i.exec(target)
  if (absolute === null) return target
  const rest = absolute[1]!
  return rest.startsWith('/') ? rest : `/${rest}`
}
