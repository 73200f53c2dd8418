const NUMBER = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });

/** 12,340 as it is, millions and more shortened. */
export function count(number) {
  return number < 1e6 ? NUMBER.format(Math.round(number)) : SHORT.format(number);
}

export function bytes(number) {
  let unit = 0;
  while (number >= 1024 && unit < UNITS.length - 1) {
    number /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || number >= 100 ? 0 : 1;
  return `${Number(number.toFixed(digits))} ${UNITS[unit]}`;
}

/** A time between two readings of `performance.now()`, which browsers blur to 0.1 ms and more. */
export function milliseconds(number) {
  if (number < 0.1) {
    return "< 0.1 ms";
  }
  if (number < 10_000) {
    return `${number.toFixed(number < 100 ? 1 : 0)} ms`;
  }
  return `${(number / 1000).toFixed(1)} s`;
}

export function duration(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) {
    return `${days} d ${hours} h`;
  }
  if (hours > 0) {
    return `${hours} h ${minutes} min`;
  }
  return minutes > 0 ? `${minutes} min ${Math.floor(seconds) % 60} s` : `${Math.floor(seconds)} s`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
