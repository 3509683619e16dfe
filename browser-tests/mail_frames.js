// Mails as a browser shows them: each in a frame of its own, in which scripts would run and pictures would load.

/** Shows mails beside one another in a page, and returns what each has become there. */
export const examine = (page, mails) =>
  page.evaluate((all) => {
    const show = async (html) => {
      const frame = document.createElement("iframe");
      Object.assign(frame, { srcdoc: html, width: 700, height: 500 });
      await new Promise((resolve) => {
        frame.onload = resolve;
        document.body.append(frame);
      });
      const mail = frame.contentDocument;
      const attributes = (element) => [...element.attributes].map(({ name, value }) => `${name}=${value.replace(/#id=.*/, "#")}`);
      const elements = [...mail.querySelectorAll("*")].filter(({ localName }) => localName !== "bdi");
      return {
        // What attacks set, wherever they run.
        ran: frame.contentWindow.ran ?? globalThis.ran ?? false,
        outline: elements.map((element) => [element.localName, ...attributes(element)].join(" ")),
        links: [...mail.links].map(({ href }) => href),
        text: mail.body.innerText,
        name: nameIn(mail),
      };
    };
    /** The name in the greeting: it, its direction, the words with it, and whether they stand in their order. */
    const nameIn = (mail) => {
      const all = mail.querySelectorAll("main p > bdi");
      if (all.length !== 1) return all.length === 0 ? null : "more than one";
      const [name] = all;
      const box = (node) => {
        const range = mail.createRange();
        range.selectNodeContents(node);
        return range.getBoundingClientRect();
      };
      const parts = [name.previousSibling, name, name.nextSibling].filter((part) => part?.textContent.trim()).map(box);
      if (mail.dir === "rtl") parts.reverse();
      const inOrder = parts.every((part, at) => at === 0 || part.left >= parts[at - 1].right - 1);
      const { direction, unicodeBidi } = mail.defaultView.getComputedStyle(name);
      return { name: name.textContent, words: name.parentElement.textContent, direction, unicodeBidi, inOrder };
    };
    return Promise.all(all.map(show));
  }, mails.map(({ html }) => html));
