"""Tiny reward models with random weights, and what transformers says of them.

`python tiny_models.py FOLDER` is a process of its own: one in which torch has computed can fork no engine.
"""

import json
import sys
from pathlib import Path

MARKER = "<extra_0>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content | trim }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QUESTION = "How many are 2 + 3?"
STEPS = ["First, 2 and 3 are numbers.", "Their sum is 5.", f"So it is 5: é 中. {MARKER} ки\n!"]
"""The last holds markers of its own, which are none: a model may write anything."""
SIZES = {
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,  # so that rewards differ
}


def tokenizer():
    """Return a tokenizer of bytes: it knows every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytewise = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=bytewise,
        pad_token="<pad>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        additional_special_tokens=[MARKER],
    )
    made.add_tokens(["ки"])
    made.chat_template = TEMPLATE
    return made


def process_reward_model(config):
    """Return Qwen2.5-Math-PRM: two layers on every hidden state, two numbers a token."""
    import torch
    from transformers import Qwen2Model, Qwen2PreTrainedModel

    class Qwen2ForProcessRewardModel(Qwen2PreTrainedModel):
        def __init__(self, config):
            super().__init__(config)
            self.model = Qwen2Model(config)
            size = config.hidden_size
            self.score = torch.nn.Sequential(
                torch.nn.Linear(size, size), torch.nn.ReLU(), torch.nn.Linear(size, config.num_labels)
            )
            self.post_init()

        def forward(self, input_ids):
            return self.score(self.model(input_ids).last_hidden_state)

    return Qwen2ForProcessRewardModel(config)


def main(folder):
    """Write checkpoints and `expected.json`: logits, and how many tokens were read."""
    import torch
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        LlamaForSequenceClassification,
        Qwen2Config,
        Qwen2ForSequenceClassification,
    )

    words = tokenizer()
    ends = {"pad_token_id": words.pad_token_id, "eos_token_id": words.eos_token_id}
    sizes = {**SIZES, **ends, "vocab_size": len(words)}
    torch.manual_seed(0)
    models = {
        "llama": LlamaForSequenceClassification(LlamaConfig(**sizes, num_labels=1)),
        "llama3": LlamaForSequenceClassification(LlamaConfig(**sizes, num_labels=3)),
        "qwen2": Qwen2ForSequenceClassification(Qwen2Config(**sizes, num_labels=1)),
        "prm": process_reward_model(Qwen2Config(**sizes, num_labels=2)),
        "shepherd": LlamaForCausalLM(LlamaConfig(**sizes)),
    }
    opening = [{"role": "user", "content": QUESTION}]
    chats = {"whole": [*opening, {"role": "assistant", "content": "\n\n".join(STEPS)}]}
    chats["steps"] = [*opening, {"role": "assistant", "content": "".join(step + MARKER for step in STEPS)}]
    ids = {
        kind: words.apply_chat_template(chat, tokenize=True, return_dict=False)
        for kind, chat in chats.items()
    }
    ids["plain"] = words(QUESTION + " " + "".join(f"{step} ки\n" for step in STEPS)).input_ids
    # A marker in the last step's own text is none, and what comes after the last marker is the template's.
    marks = [at for at, token in enumerate(ids["steps"]) if token == words.convert_tokens_to_ids(MARKER)]
    verdicts = [at for at, token in enumerate(ids["plain"]) if token == words.convert_tokens_to_ids("ки")]
    read = {"prm": ("steps", [*marks[:2], marks[3]]), "shepherd": ("plain", [*verdicts[:2], verdicts[3]])}
    expected = {}
    for name, model in models.items():
        model.eval().save_pretrained(folder / name)
        words.save_pretrained(folder / name)
        kind, places = read.get(name, ("whole", None))
        with torch.no_grad():
            found = model(torch.tensor([ids[kind]]))
        logits = getattr(found, "logits", found)[0]
        logits = logits if places is None else logits[places]
        if name == "shepherd":
            logits = logits[:, words.convert_tokens_to_ids(["+", "-"])]
        expected[name] = {"logits": logits.tolist(), "tokens": len(ids[kind])}
    question = words(QUESTION).input_ids
    with torch.no_grad():
        last = models["shepherd"].model(torch.tensor([question])).last_hidden_state[0, -1]
    expected["embedding"] = {"vector": (last / last.norm()).tolist(), "tokens": len(question)}
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
