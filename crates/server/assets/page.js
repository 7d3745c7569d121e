// Elements of the page. Texts go in as texts, never as HTML: names and values are anybody's.

/** An element with attributes and children. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

/** Sets a text, unless it stands there already: what is selected stays so. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
