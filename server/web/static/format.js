// Times and amounts as people read them.

import { number } from "/static/strings.js";

const dayAndTime = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const timeOnly = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: "UTC" });

/** A moment in the visitor's time zone; nothing for null. */
export const dateTime = (time) => (time ? dayAndTime.format(new Date(time)) : "–");

/** A time of a day, in UTC, as days of epochs are. */
export const clockTime = (time) => timeOnly.format(new Date(time));

/** Wei as ether, as short as it can be without a loss up to six digits. */
export function ether(wei) {
  const digits = String(wei).padStart(19, "0");
  const part = digits.slice(-18, -12).replace(/0+$/, "");
  return `${number.format(BigInt(digits.slice(0, -18)))}${part ? `.${part}` : ""}`;
}
