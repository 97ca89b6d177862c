"""Train the second vocabulary on the text of train.bin, and write the same documents in it.
Reads tok.model, corpus.txt, train.bin, val.bin; writes tok-1k.model, train-1k.bin, val-1k.bin.
Its pieces may span words, so neither vocabulary contains the other. usage: vocabulary.py"""
import numpy as np, sentencepiece as spm
spm.SentencePieceTrainer.train(input='corpus.txt', model_prefix='tok-1k', vocab_size=1024, model_type='bpe', byte_fallback=True, split_digits=True,
    split_by_whitespace=False, normalization_rule_name='identity', remove_extra_whitespaces=False, character_coverage=0.9999, max_sentence_length=100000)
first, second = (spm.SentencePieceProcessor(model_file=f) for f in ('tok.model', 'tok-1k.model'))
for part in ('train', 'val'):
    tokens = np.fromfile(part + '.bin', dtype=np.uint16).astype(int)
    texts = [first.decode(d[1:-1].tolist()) for d in np.split(tokens, np.flatnonzero(tokens == 2) + 1) if len(d)]
    out = np.concatenate([[1] + second.encode(t) + [2] for t in texts]).astype(np.uint16); out.tofile(part + '-1k.bin')
    print(f'{part}: {len(texts)} documents, {sum(len(t.encode()) for t in texts)} bytes, {len(out)} tokens, {len(tokens)} before')
pieces = {first.id_to_piece(i) for i in range(first.get_piece_size())}
print('pieces that the first vocabulary has too:', sum(second.id_to_piece(i) in pieces for i in range(second.get_piece_size())))
