"""The benchmark's Python: objects, dictionaries, strings and calls. Usage: words.py TEXT AMOUNT"""
import re
import sys


class Trie:
    """Words by their letters, with how often each was put in."""

    def __init__(self):
        self.branches = {}
        self.count = 0

    def add(self, word):
        node = self
        for letter in word:
            if letter not in node.branches:
                node.branches[letter] = Trie()
            node = node.branches[letter]
        node.count += 1

    def words(self, prefix=""):
        if self.count:
            yield prefix, self.count
        for letter in sorted(self.branches):
            yield from self.branches[letter].words(prefix + letter)


def queens(rows, columns=0, rising=0, falling=0):
    """In how many ways as many queens as there are bits in `rows` stand without a threat."""
    if columns == rows:
        return 1
    count = 0
    free = rows & ~(columns | rising | falling)
    while free:
        square = free & -free
        free -= square
        count += queens(rows, columns | square, (rising | square) << 1, (falling | square) >> 1)
    return count


def main(text, amount):
    words = re.findall(r"[a-z]{3,}", text[:amount * 1000])
    trie = Trie()
    for word in words:
        trie.add(word)
    for word, count in sorted(trie.words(), key=lambda entry: (-entry[1], entry[0]))[:20]:
        print(f"{count:6d} {word:>12s}")
    print("queens:", queens((1 << 7) - 1))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        main(file.read(), int(sys.argv[2]))
