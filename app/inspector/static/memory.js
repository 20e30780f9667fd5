// What the page remembers between visits: language and theme, nothing else. Keys and tokens are never kept.

export function recall(name) {
  try {
    return localStorage.getItem(`inspector.${name}`);
  } catch {
    return null; // storage is switched off
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`inspector.${name}`, value);
  } catch {
    return; // then it holds until the page is left
  }
}
