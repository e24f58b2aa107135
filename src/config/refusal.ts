/** Why a text was not taken: the half of an error message that only the parser knows. */
export class Refusal {
  readonly reason: string
  /** @param reason completes "…, got "x": reason"; empty where what was expected says it all */
  constructor(reason: string) {
    this.reason = reason
  }
}
